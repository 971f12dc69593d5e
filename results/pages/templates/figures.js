// A figure in closed details has no width yet: it is drawn when they are opened.
const config = {displaylogo: false, responsive: true, showSendToCloud: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]};
function draw(plot) {
  const figure = JSON.parse(document.getElementById(plot.id + "-figure").textContent);
  const fixed = plot.closest("details") || figure.layout.dragmode === false;
  const displayModeBar = fixed ? false : "hover";
  return Plotly.newPlot(plot, figure.data, figure.layout, {...config, displayModeBar});
}
for (const plot of document.querySelectorAll(".plot")) {
  const details = plot.closest("details");
  if (details) details.addEventListener("toggle", () => draw(plot), {once: true});
  else draw(plot).then(() => plot.on("plotly_click", event => {
    const row = document.getElementById("trial-" + event.points[0].id);
    if (row) { row.open = true; row.scrollIntoView({block: "center"}); }
  }));
}
