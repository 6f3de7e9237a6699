// Keeps a page up to date, without a reload, and copies what is to be copied. The page works without it.
"use strict";

(() => {
  const parser = new DOMParser();

  // -- parts: what the server sends again replaces what has changed, and leaves alone what has not -----------------

  const kept = (node) => node.nodeType === Node.ELEMENT_NODE && node.classList.contains("plot");

  function sameKind(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id || "") === (other.id || "");
  }

  function attributes(now, then) {
    for (const { name } of [...now.attributes]) {
      // What a person has opened stays open.
      if (!then.hasAttribute(name) && !(now.nodeName === "DETAILS" && name === "open")) now.removeAttribute(name);
    }
    for (const { name, value } of then.attributes) {
      if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    }
  }

  function become(now, then) {
    if (now.nodeType !== Node.ELEMENT_NODE) {
      if (now.nodeValue !== then.nodeValue) now.nodeValue = then.nodeValue;
      return;
    }
    if (kept(now)) {
      const data = then.getAttribute("data-chart");
      if (now.getAttribute("data-chart") !== data) {
        now.setAttribute("data-chart", data);
        now.dispatchEvent(new Event("chart"));
      }
      return;
    }
    attributes(now, then);
    children(now, then);
  }

  function children(now, then) {
    const wanted = [...then.childNodes];
    const present = new Map([...now.children].filter((each) => each.id).map((each) => [each.id, each]));
    let at = now.firstChild;
    for (const each of wanted) {
      const known = each.id ? present.get(each.id) : null;
      if (known && known !== at) now.insertBefore(known, at); // rows that change places keep what they are
      else if (!known && !(at && sameKind(at, each))) {
        now.insertBefore(document.importNode(each, true), at);
        continue;
      }
      const target = known || at;
      become(target, each);
      at = target.nextSibling;
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function take(parts) {
    for (const [name, text] of Object.entries(parts)) {
      const place = document.getElementById(name);
      if (!place) continue;
      if (name === "trouble") {
        place.textContent = text;
        place.hidden = !text;
        continue;
      }
      children(place, parser.parseFromString(text, "text/html").body);
    }
    document.dispatchEvent(new Event("parts"));
  }

  // -- the stream ----------------------------------------------------------------------------------------------------

  const place = document.getElementById("connection");
  let source = null;
  let last = new Date();
  let again = 0;
  let patience = 1000;

  function say(text) {
    if (place && place.textContent !== text) {
      place.textContent = text;
      place.hidden = !text;
    }
  }

  function lost() {
    close();
    if (document.hidden) return;
    say(`Not connected: this is from ${last.toLocaleTimeString()}. Trying again …`);
    document.documentElement.dataset.live = "lost";
    again = setTimeout(open, patience);
    patience = Math.min(patience * 2, 10000);
  }

  function close() {
    clearTimeout(again);
    if (source) source.close();
    source = null;
  }

  function open() {
    close();
    source = new EventSource(location.pathname + location.search);
    source.addEventListener("parts", (event) => {
      take(JSON.parse(event.data));
      last = new Date();
      patience = 1000;
      say("");
      document.documentElement.dataset.live = "yes";
    });
    source.onerror = lost;
  }

  if (document.querySelector("[id^=live_]")) {
    open();
    // A page that nobody looks at holds no connection: a browser has six for each host.
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    window.addEventListener("pagehide", close);
    window.addEventListener("pageshow", (event) => event.persisted && open());
  }

  // -- copying -------------------------------------------------------------------------------------------------------

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy).textContent;
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Without https a browser may have no clipboard for us: mark the text, so that a key does it.
      getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
      button.textContent = "Marked: press Ctrl+C";
    }
    setTimeout(() => (button.textContent = said), 2000);
  });
})();
