"""The playground in Chromium: its size, when it first translates, and how long a step takes.

    python -m benchmarks.speed.playground

The page is that of the web edition, opened from files. "opens" is the time from opening it to the first
translation, at full speed. For the other times the processor is slowed down four times: "step" is the time
to decode one token of a review of five clauses, and "drag" the time to compute and draw a step after a weight
has been moved. Each number is a median of nine, with the first and the last decile. Sizes are in kB on disk.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import harness
from make_notebooks import chromium
from utils import pretrained
from utils.explorer import export, playground
from utils.plotting import NAMES

RUNS, THROTTLE = 9, 4.0  # repetitions, and how many times slower the processor is
SENTENCE = " ".join(english for english, _, _ in export.clauses()[:5])
OPENED = """
const wait = () => document.querySelector("[data-explorer]")?.shadowRoot?.querySelector(".tgt [role=option]")
    ? (globalThis.opened = performance.now()) : requestAnimationFrame(wait);
wait();
"""
TIMES = """async ([context, sentence, runs]) => {
    const element = document.querySelector("[data-explorer]");
    const timed = (call) => { const start = performance.now(); call(); return performance.now() - start; };
    element.shown = [context];
    await element.say(sentence.split(" "));
    const [panel] = element.panels, even = panel.src.map(() => 1 / panel.src.length);
    const found = { step: [], drag: [] };
    for (let run = 0; run < runs; run++) {
        found.step.push(timed(() => element.decode(panel)) / panel.tgt.length);
        if (panel.weights) found.drag.push(timed(() => element.edit(panel, even)));
    }
    return found;
}"""


def measure(context):
    """Return times in milliseconds, a list each, and the size of the model's file in bytes."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        models = export.write_models(Path(folder) / "models")
        path = playground(pretrained.MODELS, [context], files="models/", play=False).save(
            Path(folder) / "page.html"
        )
        sizes = {file.stem: file.stat().st_size for file in models}
        opens = []
        for _ in range(RUNS):
            page = browser.new_page()
            page.add_init_script(OPENED)
            page.goto(path.as_uri())
            page.wait_for_function("globalThis.opened")
            opens.append(page.evaluate("opened"))
            if len(opens) < RUNS:
                page.close()
        session = page.context.new_cdp_session(page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
        times = page.evaluate(TIMES, [context, SENTENCE, RUNS])
        page_size = path.stat().st_size + sum(sizes.values())
        return {"opens": opens, **times, "bytes": sizes[context], "all": page_size}


def table(record):
    """Return a line of text per model."""

    def spread(times):
        if not times:
            return f"{'–':>22}"
        low, middle, high = np.percentile(times, [10, 50, 90])
        return f"{middle:>10.1f} ({low:.1f}–{high:.1f})".rjust(22)

    lines = [f"{'ms':<22}{'opens':>22}{'step':>22}{'drag':>22}{'kB':>8}"]
    for run in record["runs"]:
        times = "".join(spread(run[kind]) for kind in ("opens", "step", "drag"))
        lines.append(f"{NAMES[run['context']]:<22}{times}{run['bytes'] / 1e3:>8.0f}")
    size = record["runs"][0]["all"] / 1e3
    lines.append(f"page with all models and snapshots of the training: {size:,.0f} kB")
    return "\n".join(lines)


def main():
    """Run the command line."""
    args = harness.parser(__spec__.name, __doc__).parse_args()
    jobs = [{"context": context} for context in pretrained.MODELS]
    harness.run(args, measure, jobs, table, sources=sorted(Path(export.__file__).parent.glob("*.[jc]s*")))


if __name__ == "__main__":
    main()
