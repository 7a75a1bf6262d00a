"""What an attacker may put into any attribute, for the property tests of documents."""

from __future__ import annotations

from hypothesis import strategies as st

PAYLOADS = (
    "<script>alert(1)</script>",
    "</td></tr></table><img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></svg><iframe src=//evil.example>",
    "<!-- --><![CDATA[x]]>&lt;b&gt;&#60;i&#62;",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/a.png)",
    "<https://evil.example>",
    "https://evil.example www.evil.example",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "| a | b |",
    "---",
    "===",
    "```\ncode",
    "`code`",
    "*bold* __bold__ ~~gone~~",
    "a\n\n# b\n\n- c",
    "\\",
    "x\\",
    "$x$ {{ 7*7 }} {% for a in b %}",
    "\x1b[31mred\x1b[0m\x07",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "\r\nSet-Cookie: a=b",
    "\ud800",
    "e" + "\u0301" * 200,
    "@here #123",
    "A" * 1_000_000,
)

hostile = st.one_of(
    st.sampled_from(PAYLOADS),
    st.lists(st.sampled_from(PAYLOADS[:-1]), min_size=2, max_size=3).map("".join),
    st.text(max_size=60),
    st.text(alphabet="<>&\"'`*_[]()#|\\-+=~!{}$@:/.1 \n\t\x1b\u202e", max_size=60),
)
