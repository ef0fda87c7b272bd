"""Words of the old dialect that must not come back: identifiers of a concept, and phrases that users read."""

from __future__ import annotations

import re

# Part or module, the identifier that it must not define any more, and the one that replaced it (shared/house.md).
OLD_NAMES: tuple[tuple[str, str, str], ...] = (
    ("plan", "Outline", "ImageSummary"),
    ("plan", "Seed", "UnlinkedImage"),
    ("plan.expand", "Point", "VariantInputs"),
    ("plan", "reaching", "image_files"),
    ("plan", "tested", "test_files"),
    ("plan", "takes_all", "uses_whole_package"),
    ("plan", "shaping", "disk_options"),
    ("plan", "outside", "location_variables"),
    ("plan", "immutable", "pinned"),
    ("plan", "TestPlan", "SuitePlan"),
    ("recipe", "TestJob", "SuiteJob"),
    ("recipe", "Remembered", "PackageCache"),
    ("recipe", "remembered", "cache"),
    ("recipe", "no_collection", "gc_paused"),
    ("recipe", "spread", "fork_map"),
    ("preview", "Shelf", "LibrarySnapshot"),
    ("preview", "shelf", "snapshot"),
    ("preview", "survey", "plan_report"),
    ("fluid_run", "Shelf", "Library"),
    ("fluid_run", "shelf", "library"),
    ("library", "since", "deprecated"),
    ("library", "deprecated_since", "listing"),
    ("library", "release", "unpromote"),
    ("library", "retire", "set_state"),
    ("library", "prove", "record_test"),
    ("host.google", "asking", "api_errors"),
    ("host.google", "passes", "reraise"),
    ("fluid_run", "passes", "reraise"),
    ("library", "passes", "reraise"),
    ("ovens", "passes", "reraise"),
    ("rcc_run", "passes", "reraise"),
    ("host.google", "PASSING", "TRANSIENT"),
    ("host.google", "BROKEN", "CONNECTION_ERRORS"),
    ("cli", "guarded", "exit_codes"),
    ("cli", "opened", "ensure_standard_streams"),
    ("cli", "silent", "discard_stdout"),
    ("cli", "stoppable", "cancel_on_signal"),
    ("cli", "shelf", "library"),
    ("resources", "widen", "raise_worker_limit"),
    ("resources", "refuse", "abort_call"),
    ("resources.provider", "shown", "reports_errors"),
    ("resources", "go_on", "continue_on_error"),
    ("resources", "hush", "silence_debug"),
    ("resources", "tell", "log_reasons"),
    ("errors", "LookAgain", "StateChanged"),
    ("errors", "TestFailed", "ImageRejected"),
    ("errors", "of_the_system", "from_os_error"),
    ("ovens", "LookAgain", "StateChanged"),
    ("ovens", "_told", "_publish_failure"),
    ("ovens", "_let_go", "_delete_machine"),
    ("ovens", "Surroundings", "INFRASTRUCTURE_FAULTS"),
    ("fluid_run", "course", "run_spec"),
    ("fluid_run", "outlet", "mailbox"),
    ("fluid_run", "lift", "promote_results"),
    ("fluid_run", "Surroundings", "RunContext"),
    ("fluid_run", "Broken", "RunError"),
    ("fluid_run", "farewell", "report_failure"),
    ("fluid_run", "attend", "run_worker"),
    ("fluid_run", "conduct", "run_controller"),
    ("fluid_run", "visit", "run_as_guest"),
    ("fluid_run", "feed", "submit_ready"),
    ("fluid_run", "put", "write_atomic"),
    ("orders", "TestOrder", "RunOrder"),
)

# Those that mean nothing else in any part. The others are ordinary words, which other concepts may have.
NOWHERE = (
    *("Outline", "reaching", "takes_all", "shaping", "immutable", "TestPlan", "TestJob", "TestOrder", "TestFailed"),
    *("Remembered", "no_collection", "spread", "Shelf", "survey", "retire", "prove", "asking", "passes", "PASSING"),
    *("guarded", "stoppable", "widen", "go_on", "hush", "LookAgain", "of_the_system", "_let_go", "Surroundings"),
    *("course", "outlet", "lift", "farewell", "attend", "conduct", "visit", "feed"),
)

# Phrases, as patterns over text in lower case, and how to write instead. Ordinary English uses of a word are kept out
# of a pattern by what has to be beside it.
OLD_PHRASES: dict[str, re.Pattern[str]] = {
    "'is not a ...' or 'invalid ...'": re.compile(
        r"(?<!there )\b(is|are|was|were) no (?!longer|more|such|other|doubt|need)\w"
    ),
    "'unknown key'": re.compile(r"nothing that the bakery knows"),
    "'is duplicated', 'is in ...', 'starts with ...'": re.compile(
        r"\bstands? (twice|there|here|behind|in|at|on|for itself|alone|before|after|beside|below|above|by)\b"
        r"|\bstanding there\b"
    ),
    "'remove'": re.compile(
        r"\b(take|takes|taken|took|taking) (it|them|this|that|these|those|\w+) away\b|\btaken away\b"
    ),
    "the subject by name": re.compile(r"\b(nobody|somebody|whoever|anybody)\b"),
    "'except'": re.compile(r"\bbut for\b(?! the (moment|first))"),
    "'again'": re.compile(r"\banew\b"),
    "'indefinitely', 'never'": re.compile(r"\bfor ever\b"),
    "'continue'": re.compile(r"\b(go|goes|going|went) on\b"),
    "'exists', 'existing'": re.compile(
        r"\bwhat (is|was) there\b|\bis there already\b|\bare there already\b|\bis not there\b"
    ),
    "'missing'": re.compile(r"\bis not there any more\b|\bthere any more\b"),
    "'fix'": re.compile(r"\bcorrect (the|it|its|this|that)\b"),
    "'is in'": re.compile(r"\b(lies|lie|lay) (in|below|outside|beside|at|there|on)\b"),
    "'reported', 'given'": re.compile(r"\b(is|are|was|were|be|been) (told|said)\b"),
    "what knows it, the field's term": re.compile(r"\bin the bakery's words\b|\bthe library says\b"),
    "'does not prevent'": re.compile(r"\bkeeps? no \w+ from\b"),
    "'run_spec'": re.compile(r"\bcourse\.json|--course\b"),
    "'let ... go' means delete or release": re.compile(r"\blet (it|them) go\b|\bmade out of\b"),
    "'meanwhile' belongs to a sentence": re.compile(r"\blead(s)? nowhere\b|\btakes? (its|their) place\b"),
}
