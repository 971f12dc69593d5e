// Colors of the figures in the dark; equal texts in a figure are colors and nothing else.
const DARK = {"#222222": "#e4e4e4", white: "#17191c", "#E6E6E6": "#33363b", "#999999": "#777777", "#333333": "#cccccc",
  "#777777": "#999999", "#F4F4F4": "#2b2e33", "#F0A36B": "#8f4a17", "#7FB8DA": "#1f5f86", "#0072B2": "#56B4E9"};
const darkness = matchMedia("(prefers-color-scheme: dark)");
const colored = (key, value) => darkness.matches && typeof value === "string" && DARK[value] || value;
// A figure in closed details has no width yet: it is drawn when they are opened.
const config = {displaylogo: false, responsive: true, showSendToCloud: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]};
const parsed = id => JSON.parse(document.getElementById(id + "-figure").textContent, colored);
function figureOf(plot) {
  const figure = parsed(plot.id);
  if (!plot.dataset.variant) return figure;
  const other = parsed(plot.dataset.variant);  // what differs from the first figure
  const known = Object.fromEntries(figure.data.map(trace => [trace.name, trace]));
  return {data: other.data.map(trace => ({...known[trace.name], ...trace})), layout: {...figure.layout, ...other.layout}};
}
function draw(plot) {
  const figure = figureOf(plot);
  const fixed = plot.closest("details") || figure.layout.dragmode === false;
  const displayModeBar = fixed ? false : "hover";
  return Plotly.react(plot, figure.data, figure.layout, {...config, displayModeBar});
}
for (const plot of document.querySelectorAll(".plot")) {
  const details = plot.closest("details");
  if (details) details.addEventListener("toggle", () => draw(plot), {once: true});
  else draw(plot).then(() => plot.on("plotly_click", event => pin(event.points[0])));
}
// The card of a network below the plot: of the table, or else the text of its hover.
function pin(point) {
  const card = document.getElementById("pinned");
  if (!card || !point.customdata) return;
  const texts = new DOMParser().parseFromString(String(point.customdata).replaceAll("<br>", "\n"), "text/html");
  const text = document.createElement("p");
  text.className = "pinned";
  text.textContent = texts.body.textContent;
  const known = document.getElementById("trial-" + point.id)?.querySelector(".pin");
  const parts = [text];
  if (known) parts.push(known.cloneNode(true));
  else if (point.id && card.dataset.export) {
    const command = document.createElement("pre");
    command.className = "command";
    command.innerHTML = "<code></code>";
    command.firstChild.textContent = card.dataset.export.replace("TRIAL", point.id);
    parts.push(command);
  }
  card.replaceChildren(...parts);
  card.querySelectorAll(".command").forEach(copyable);
  card.hidden = false;
}
for (const choices of document.querySelectorAll(".switch")) {
  const plot = document.getElementById(choices.dataset.plot), log = choices.querySelector("[type=checkbox]");
  const showScale = () => { if (log) log.checked = figureOf(plot).layout.xaxis.type === "log"; };
  showScale();
  choices.addEventListener("change", event => {
    if (event.target !== log) {
      plot.dataset.variant = event.target.value;
      showScale();
      draw(plot);
      return;
    }
    const scale = log.checked ? "log" : "linear";
    const axis = plot.layout.meta.axes[scale];
    Plotly.relayout(plot, Object.fromEntries(Object.entries(axis).map(([key, value]) => ["xaxis." + key, value])));
  });
}
darkness.addEventListener("change", () => {
  for (const plot of document.querySelectorAll(".plot:has(.main-svg)")) draw(plot);
});
document.querySelectorAll(".command").forEach(copyable);
function copyable(command) {
  command.querySelector("button")?.remove();
  const button = document.createElement("button");
  button.textContent = "copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command.querySelector("code").textContent);
    button.textContent = "copied";
  });
  command.prepend(button);
}
// A click on a heading sorts a table by it; each network is a body of its own.
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const bodies = [...table.tBodies];
    if (!bodies.some(body => body.rows[0].cells[column].dataset.value)) return;
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      for (const each of table.querySelectorAll("[aria-sort]")) each.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const value = body => Number(body.rows[0].cells[column].dataset.value || NaN);
      const last = number => Number.isNaN(number) ? 1 : 0;  // networks without a value
      bodies.sort((one, other) => last(value(one)) - last(value(other))
        || (ascending ? 1 : -1) * (value(one) - value(other)));
      table.append(...bodies);
    });
  });
}
