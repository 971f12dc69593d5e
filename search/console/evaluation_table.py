"""Table of the metrics of a trained network."""

from typing import Any

from rich.markup import escape

from ...evaluate import format_count
from ...evaluate.training.trivial_accuracy import balance_text
from ...results.text.formatting import milliseconds, top1_text, truncate
from .tables import plain_table, wide_console

_MAX_CLASSES, _MAX_NAME_LENGTH = 30, 30


def print_evaluation(evaluation: dict[str, Any]) -> None:
    """Print the metrics, then a row per class: the lowest F1 first, classes without images last."""
    console = wide_console()

    def print_line(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    top5 = f", top-5 {100 * evaluation['top5']:.2f}%" if evaluation["top5"] is not None else ""
    print_line(
        f"{evaluation['name']} on {_images(evaluation)} "
        f"of {evaluation['data']}: top-1 {top1_text(evaluation['top1'], evaluation['images'])}{top5}, "
        f"loss {evaluation['loss']:.4f}, calibration error {100 * evaluation['calibration_error']:.2f}%; "
        f"{balance_text(evaluation)}"
    )
    cost_text = f"{format_count(evaluation['macs'])} MACs, {format_count(evaluation['params'])} parameters"
    latency = evaluation["latency"]
    if latency:
        cost_text += (
            f", {milliseconds(latency['latency_ms'])} ({latency['ratio']:.3f}x {latency['reference']})"
        )
    print_line(f"{cost_text}, {format_count(evaluation['size_bytes'])}B on disk")
    for line in filter(None, (evaluation["left_out"], *evaluation["warnings"])):
        print_line(line)
    classes = sorted(evaluation["classes"], key=lambda each: (not each["images"], each["f1"], each["name"]))
    columns = ("class", "images", "precision %", "recall %", "F1 %", "most confused with")
    table = plain_table(*columns, left=(columns[0], columns[-1]))
    for each in classes[:_MAX_CLASSES]:
        percentages = (f"{100 * each[name]:.1f}" for name in ("precision", "recall", "f1"))
        cells = (
            truncate(each["name"], _MAX_NAME_LENGTH),
            f"{each['images']:,}",
            *percentages,
            _most_confused_with(evaluation, each["name"]),
        )
        table.add_row(*map(escape, cells))
    console.print(table)
    if len(classes) > _MAX_CLASSES:
        print_line(f"and {len(classes) - _MAX_CLASSES} classes with a higher F1; --json prints all")


def _images(evaluation: dict[str, Any]) -> str:
    count, split = evaluation["images"], evaluation["split"]
    return f"all {count:,} images" if split == "all" else f"{count:,} {split} images"


def _most_confused_with(evaluation: dict[str, Any], name: str) -> str:
    """The most frequent wrong class of the images of a class, with their number."""
    names = [each["name"] for each in evaluation["classes"]]
    own = names.index(name)
    row = [0 if place == own else count for place, count in enumerate(evaluation["confusion"][own])]
    return f"{truncate(names[row.index(max(row))], _MAX_NAME_LENGTH)} ({max(row):,})" if max(row) else ""
