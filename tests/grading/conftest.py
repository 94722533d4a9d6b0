"""Print what the banks of misconceptions and variants gave, exercise by exercise."""

from collections import Counter

COLUMNS = (("misconceptions", "caught"), ("misconceptions", "named"), ("variants", "passed"))


def pytest_terminal_summary(terminalreporter):
    good, all_ = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for kind, found in getattr(report, "user_properties", ()):
                if kind == "bank" and report.when == "call":
                    exercise, *column, right = found
                    good[exercise, *column] += right
                    all_[exercise, *column] += 1
    if not all_:
        return
    terminalreporter.section("the banks of misconceptions and variants")
    row = "{:<18}{:>22}{:>12}{:>18}".format
    terminalreporter.write_line(row("", *(" ".join(column) for column in COLUMNS)))
    for exercise in dict.fromkeys(key[0] for key in all_):
        cells = (f"{good[exercise, *column]}/{all_[exercise, *column]}" for column in COLUMNS)
        terminalreporter.write_line(row(exercise, *cells))
