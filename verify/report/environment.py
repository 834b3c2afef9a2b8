"""The template environments: HTML with escaping on, LaTeX with delimiters that LaTeX does not use."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from verify.report import words
from verify.report.coverage import conditional
from verify.report.fonts import fallback_font
from verify.report.math import related, to_mathml
from verify.report.tex import tex_text


@cache
def html_environment() -> Environment:
    """The environment of the HTML templates: everything not marked as markup is escaped, and a missing name raises."""
    environment = Environment(
        loader=PackageLoader("verify.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        math=to_mathml,
        number=words.number,
        interval=words.interval,
        plural=words.plural,
        listed=words.listed,
        sentence=words.sentence,
        value=words.value,
        guarantee=words.guarantee,
    )
    environment.tests["conditional"] = conditional
    environment.globals.update(related=related, kinds=words.KINDS, fallback_font=fallback_font)
    return environment


@cache
def tex_environment() -> Environment:
    """The environment of the LaTeX templates: ``<< expression >>``, ``<% statement %>``, ``<# comment #>``."""
    environment = Environment(
        loader=PackageLoader("verify.report"),
        autoescape=False,  # noqa: S701  # escaping is for HTML; plain text goes through the filter ``text``
        undefined=StrictUndefined,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(text=tex_text, plural=words.plural, sentence=words.sentence)
    environment.globals.update(related=related)
    return environment
