"""Every piece of the console on one page, to be looked at in a browser.

`python -m tests.unit.console.gallery FOLDER` writes the page in both languages and both schemes,
and a login page, with the files they need beside them.
"""

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup
from multidict import MultiDict

from service.console.language import Language
from service.errors import Invalid
from service.words.catalogues import Catalogue
from tests.architecture.tree import ROOT

STATIC = ROOT / "service" / "console" / "static"
TEMPLATES = ROOT / "templates" / "console"
HOSTILE = "<script>alert(1)</script> & \"quoted\" 'text'"

NOW = datetime(2027, 1, 13, 1, 38, tzinfo=UTC)
DESK = SimpleNamespace(
    request=SimpleNamespace(path="/today"),
    form=MultiDict(
        [("name", HOSTILE), ("people", "二百"), ("when", "once"), ("towns", "a"), ("towns", "c"),
         ("late", "send")]
    ),
)  # fmt: skip
REFUSAL = Invalid(
    "三处要改",
    fields={
        "name": "名称里有 < 。去掉它，或改成“小于”。",
        "people": "“二百”不是数字。写成 200。",
        "elsewhere": "这份名单明天到期。换一份，或延长它。",
    },
)


def environment(language: str) -> jinja2.Environment:
    """Templates as the console reads them: escaped, no undefined name passes, in a language."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.policies["ext.i18n.trimmed"] = True
    env.install_gettext_translations(Catalogue(language), newstyle=True)  # type: ignore[attr-defined]  # of the extension
    return env


def context(language: str, scheme: str) -> dict[str, object]:
    """All that a page is told, as the head of _layout.html lists it."""
    names = {
        "today": ("今天", "Today"),
        "plans": ("任务", "Plans"),
        "runs": ("发送", "Sending"),
        "people": ("人员", "People"),
        "texts": ("短信", "Texts"),
        "duty": ("值班", "Duty"),
        "reports": ("统计", "Reports"),
        "office": ("管理", "Office"),
    }
    return {
        "asset": lambda name: name,
        "csrf": lambda: Markup('<input type="hidden" name="_csrf" value="token">'),
        "csrf_token": "token",
        "t": Language(language, ZoneInfo("Asia/Shanghai"), NOW),
        "desk": DESK,
        "refusal": REFUSAL,
        "notice": "已签发：今天 09:30 起发给 7,137 人",
        "me": SimpleNamespace(name="王芳"),
        "scheme": scheme,
        "department": "旌德县公安局",
        "may_stop": True,
        "menu": [
            {
                "key": key,
                "address": f"/{key}",
                "label": words[language == "en"],
                "badge": {"plans": 2, "duty": 14}.get(key, 0),
                "current": key == "today",
            }
            for key, words in names.items()
        ],
        "bands": [
            {"kind": "drill", "text": "演练：不发真短信"},
            {"kind": "clock", "text": "模拟时钟：1月13日 09:38"},
            {
                "kind": "stop",
                "text": "全部停发中，09:12 起",
                "address": "/duty/stop",
                "act": "看怎样恢复",
            },
        ],
        "watermark": "王芳 1月13日 09:38",
        "hostile": HOSTILE,
        "words": [
            ("draft", "拟稿"), ("pending_approval", "待签发"), ("scheduled", "已签发"),
            ("held", "待放行"), ("running", "发送中"), ("paused", "已暂停"), ("queued", "排队"),
            ("submitting", "交运营商中"), ("submitted", "运营商已收"), ("delivered", "已送达"),
            ("undelivered", "未送达"), ("expired", "过期"), ("rejected", "运营商拒收"),
            ("unknown", "72小时无回执"), ("uncertain", "去向不明"), ("suppressed", "发前拦下"),
            ("cancelled", "已终止"),
        ],
    }  # fmt: skip


def render(template: str, language: str, scheme: str = "") -> str:
    """A page of the gallery or of the console as HTML."""
    return environment(language).get_template(template).render(context(language, scheme))


def write(folder: Path) -> list[Path]:
    """Write all pages of the gallery and the files that they ask for."""
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    written = []
    for template in ("gallery.html", "bare.html"):
        for language in ("zh", "en"):
            for scheme in ("light", "dark"):
                page = folder / f"{template.removesuffix('.html')}-{language}-{scheme}.html"
                page.write_text(render(template, language, scheme), "utf-8")
                written.append(page)
    return written


if __name__ == "__main__":
    print(*write(Path(sys.argv[1])), sep="\n")
