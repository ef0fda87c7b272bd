"""A preview says why, in the words of ``bakery plan``."""

from __future__ import annotations

from bakery.backends import backend
from bakery.preview.model import Decision
from bakery.preview.plan_report import plan_report
from tests.support.workshop import Workshop


def decisions(workshop: Workshop) -> tuple[Decision, ...]:
    settings = workshop.settings
    report = plan_report(settings, backend(settings).existing_library)
    assert not [problem for problem in report.problems if problem.severity == "error"]
    return report.decisions


def test_the_preview_has_the_plans_reasons(workshop: Workshop) -> None:
    workshop.recipe("rcc-debian")
    workshop.recipe("hpcc", parent="rcc-debian")
    workshop.must_up()
    assert "baked" not in workshop.preview()
    workshop.write("packages/rcc-debian/install.sh", "#!/bin/bash\ntrue || false\n")
    workshop.write("packages/hpcc/test/run.sh", "#!/bin/bash\ntrue || false\n")
    shown = workshop.preview().text
    base, app = decisions(workshop)
    assert str(base) == "baked: packages/rcc-debian/install.sh changed"
    assert str(app) == "baked: parent rcc-debian is baked"
    assert str(base) in shown
    assert str(app) in shown
    workshop.must_up()
    workshop.write("packages/hpcc/test/run.sh", "#!/bin/bash\ntrue && true\n")
    shown = workshop.preview().text
    why = "tested only: packages/hpcc/test/run.sh changed"
    assert why in shown
    assert [str(decision) for decision in decisions(workshop)] == ["kept", why]
    for order in (workshop.folder / ".bakery/orders").glob("hpcc-*-*.json"):  # another checkout has never seen those
        order.unlink()
    assert [str(decision) for decision in decisions(workshop)] == ["kept", "tested only: tests changed"]
