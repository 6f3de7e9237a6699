// Draws the charts of a page. What they show stands in their data-chart attribute, and as a table beside them.
"use strict";

(() => {
  const drawn = new Map();

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function axes(unit) {
    const line = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    return [
      { ...line, grid: { show: false }, font: "11px system-ui, sans-serif", size: 28 },
      { ...line, font: "11px system-ui, sans-serif", size: 46, values: (_, ticks) => ticks.map((each) => `${each}${unit}`) },
    ];
  }

  // UTC, as everywhere on these pages: days where more than three of them are shown, seconds where it is minutes.
  function times(_, ticks) {
    const span = ticks.length > 1 ? ticks[ticks.length - 1] - ticks[0] : 0;
    const days = span > 3 * 86400;
    const minutes = span > 5 * 60;
    return ticks.map((each) => {
      const at = new Date(each * 1000).toISOString();
      return days ? at.slice(5, 10) : at.slice(11, minutes ? 16 : 19);
    });
  }

  // The share that has moved, over time.
  function moved(data, size) {
    return {
      options: {
        ...size,
        scales: { y: { range: [0, 100] } },
        axes: (([x, y]) => [{ ...x, values: times }, y])(axes(" %")),
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
        legend: { show: false },
        cursor: { y: false },
        series: [
          {},
          { label: "extracted", stroke: colour("--extracted"), fill: colour("--extracted-soft"), width: 2,
            points: { show: data.x.length < 30, size: 5 }, spanGaps: false },
        ],
      },
      values: [data.x, data.y],
    };
  }

  // How long answers took, on both sides: the share of requests by milliseconds, on a logarithmic axis.
  function latency(data, size) {
    const side = (name) => ({
      label: name, stroke: colour(`--${name}`), width: 2, points: { show: false },
      paths: uPlot.paths.stepped({ align: 1 }), value: (_, value) => (value == null ? "–" : `${value.toFixed(1)} %`),
    });
    const [x, y] = axes(" %");
    const ms = (value) => (value >= 1000 ? `${value / 1000} s` : `${value} ms`);
    return {
      options: {
        ...size,
        scales: { x: { time: false, distr: 3, log: 10 }, y: { range: (_, low, high) => [0, high * 1.1 || 1] } },
        axes: [{ ...x, values: (_, ticks) => ticks.map((each) => (each == null ? null : ms(each))) }, y],
        legend: { show: false }, // the table below says whose colour is which
        series: [{ label: "up to", value: (_, value) => (value == null ? "–" : ms(Number(value.toPrecision(3)))) }, side("legacy"), side("extracted")],
      },
      values: [data.x, data.legacy, data.extracted],
    };
  }

  const kinds = { moved, latency };

  function draw(place) {
    const data = JSON.parse(place.dataset.chart);
    const size = { width: place.clientWidth || 600, height: place.classList.contains("tall") ? 200 : 150 };
    const made = kinds[place.dataset.kind](data, size);
    const known = drawn.get(place);
    if (known) known.destroy();
    drawn.set(place, new uPlot(made.options, made.values, place));
    place.addEventListener("chart", redraw);
  }

  function redraw(event) {
    const place = event.currentTarget;
    const known = drawn.get(place);
    if (known) known.setData(kinds[place.dataset.kind](JSON.parse(place.dataset.chart), {}).values);
  }

  function all(again) {
    for (const [place, known] of drawn) {
      if (place.isConnected) continue;
      known.destroy();
      drawn.delete(place);
    }
    for (const place of document.querySelectorAll(".plot")) if (again || !drawn.has(place)) draw(place);
  }

  all(false);
  document.addEventListener("parts", () => all(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => all(true));
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => all(true), 150);
  });
})();
