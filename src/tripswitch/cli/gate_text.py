"""What ``tripswitch gate`` prints, and its summary in Markdown; both escape what spans said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tripswitch.drive.gate_proofs import State
from tripswitch.model.plain_text import plain_line

if TYPE_CHECKING:
    from tripswitch.drive.gate import Answer

_STYLES: Final = {State.PASSED: "green", State.REGRESSED: "bold red"}
_WORDS: Final = {
    State.PASSED: "well",
    State.REGRESSED: "REGRESSED",
    State.TELEMETRY_LOST: "lost",
    State.INSUFFICIENT: "not proven",
}
_MOST_CHARS: Final = 1000
_MOST_ROWS: Final = 100


def show(answer: Answer) -> None:
    """Print the answer, then one sentence a signal, the worst first."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    head = "PASSED" if answer.passed else "FAILED"
    style = "bold green" if answer.passed else "bold red"
    console.print(
        Text.assemble((head, style), f": {plain_line(answer.sentence, _MOST_CHARS)}"),
        soft_wrap=True,
    )
    for proof in answer.proofs:
        line = Text(f"  {_WORDS[proof.state]:<10}  ", style=_STYLES.get(proof.state, "yellow"))
        line.append(plain_line(f"{proof.sentence}", _MOST_CHARS), style="default")
        console.print(line, soft_wrap=True)
    if not answer.passed and answer.missing:
        console.print("what is missing:", markup=False)
        for sentence in answer.missing:
            console.print(Text(f"  - {plain_line(sentence, _MOST_CHARS)}"), soft_wrap=True)


def markdown(answer: Answer) -> str:
    """Return the summary for a job's page, as Markdown (GitHub's dialect)."""
    from tripswitch.incidents.markdown import escaped

    asked = answer.question
    lines = [
        f"### tripswitch gate: {'passed' if answer.passed else 'failed'}",
        "",
        escaped(answer.sentence),
        "",
        "| asked | |",
        "|---|---|",
        f"| route | {escaped(asked.route)} |",
        f"| prompt version | {escaped(asked.version)} |",
        f"| cohort | {escaped(asked.cohort or 'every cohort that serves it')} |",
        f"| against | {escaped(asked.against or 'whatever it is compared with')} |",
        f"| answer | {answer.state.value} |",
        f"| judged at | {escaped(answer.judged_at or 'never')} |",
        "",
    ]
    if answer.proofs:
        lines += ["| signal | state | why |", "|---|---|---|"]
        lines += [
            f"| {escaped(proof.signal)} | {_WORDS[proof.state]} | {escaped(proof.sentence)} |"
            for proof in answer.proofs[:_MOST_ROWS]
        ]
        lines.append("")
    if not answer.passed and answer.missing:
        lines += ["What is missing:", ""]
        lines += [f"- {escaped(sentence)}" for sentence in answer.missing[:_MOST_ROWS]]
        lines.append("")
    return "\n".join(lines) + "\n"
