"""What may be wrong with built HTML that no warning tells: python book/check.py _build/html

Nothing is loaded from another host, every link within the folder leads to a page and an anchor that are
there, and every picture has a text for those who cannot see it.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
NAMED_ONLY = {"index", "search", "next", "prev", "canonical", "author", "license"}  # <link>s not loaded


class Page(HTMLParser):
    """One file: what it loads, where its links lead, its anchors, and its pictures without a text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded, self.links, self.anchors, self.silent = [], [], {"", "top"}, []
        text = path.read_text()
        self.feed(text)
        styles = "".join(re.findall(r"<style.*?</style>|style=\"[^\"]*\"", text, re.S))
        self.loaded += re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", styles)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        of = dict(attributes)
        self.anchors |= {of.get("id"), of.get("name")} - {None}
        if tag == "a" and of.get("href"):
            self.links.append(of["href"])
        if of.get(LOADED.get(tag)) and of.get("rel") not in NAMED_ONLY:
            self.loaded.append(of[LOADED[tag]])
        alt = of.get("alt") or ""
        if tag == "img" and (not alt.strip() or alt == of.get("src")):  # Sphinx puts the file's name
            self.silent.append(of.get("src", "")[:60])


def faults(folder: Path) -> list[str]:
    """One sentence for each fault of the pages and the style sheets in a folder."""
    folder = folder.resolve()
    paths = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: Page(path) for path in paths}
    found = [] if pages else [f"{folder}: no page"]
    for path, page in pages.items():
        name = path.relative_to(folder)
        found += [f"{name}: a picture without a text: {source}" for source in page.silent]
        for url in page.loaded:
            if urlsplit(url).netloc:
                found.append(f"{name}: loads {url} from another host")
        for url in page.links + [url for url in page.loaded if not urlsplit(url).netloc]:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue  # a link to elsewhere, or a picture inside the page
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else {""}
            if not target.is_file() or unquote(parts.fragment) not in anchors:
                found.append(f"{name}: {url} leads nowhere")
    for path in sorted(folder.rglob("*.css")):
        for url in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", path.read_text()):
            found.append(f"{path.relative_to(folder)}: loads {url} from another host")
    return found


if __name__ == "__main__":
    told = faults(Path(sys.argv[1]))
    print("\n".join(told))
    sys.exit(bool(told))
