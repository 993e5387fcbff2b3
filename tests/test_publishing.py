"""What publishes the book: workflows that are sound and say the README's commands, one address, metadata that agree."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from examples import loaded

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def program(name):
    return str(Path(sys.executable).with_name(name))


@pytest.fixture(scope="module")
def launch():
    """The extension book/_ext/launch.py."""
    return loaded(ROOT / "book" / "_ext" / "launch.py")


def test_workflows_follow_their_schema():
    command = [program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *WORKFLOWS]
    subprocess.run(command, check=True, capture_output=True)


def test_workflows_have_no_known_weakness():
    run = subprocess.run([program("zizmor"), "--offline", *WORKFLOWS], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_says_the_readmes_command(path):
    steps = [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]
    said = [step["run"] for step in steps if step.get("run", "").startswith("make")]
    readme = re.findall(r"^ {4}(make \w+)$", (ROOT / "README.md").read_text(), re.M)
    assert said == ["make test" if path.stem == "test" else "make book"] and set(said) <= set(readme)


def published(remote, html, kind, name):
    """Publish a folder, and return the paths of the branch that is shown."""
    own = {
        "REMOTE": str(remote),
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_REF_TYPE": kind,
        "GITHUB_REF_NAME": name,
    }
    command = ["bash", str(ROOT / ".github" / "publish.sh"), str(html)]
    subprocess.run(
        command, env={"PATH": "/usr/local/bin:/usr/bin:/bin", **own}, check=True, capture_output=True
    )
    listing = ["git", "--git-dir", str(remote), "ls-tree", "-r", "--name-only", "gh-pages"]
    return set(subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_the_main_branchs_book_and_a_tags_stand_side_by_side(tmp_path):
    remote, html = tmp_path / "site.git", tmp_path / "html"
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    (html / "_static").mkdir(parents=True)
    (html / "index.html").write_text("first")
    (html / "_static" / "old.css").write_text("")
    both = {"index.html", "_static/old.css"}
    assert published(remote, html, "branch", "main") == both | {".nojekyll"}
    tagged = both | {".nojekyll"} | {f"versions/v1/{name}" for name in both}
    assert published(remote, html, "tag", "v1") == tagged
    (html / "_static" / "old.css").rename(html / "_static" / "new.css")
    assert published(remote, html, "branch", "main") == tagged - {"_static/old.css"} | {"_static/new.css"}


def test_without_an_address_no_page_has_a_button_and_with_one_they_lead_there(launch):
    assert launch.buttons("", "main", "notebooks/10_table1") == []
    found = launch.buttons("https://github.com/a/b", "main", "notebooks/10_table1")
    assert [button["url"] for button in found] == [
        "https://github.com/a/b",
        "https://mybinder.org/v2/gh/a/b/main?labpath=notebooks/10_table1.ipynb",
        "https://colab.research.google.com/github/a/b/blob/gh-pages/_sources/notebooks/10_table1.ipynb",
    ]
    assert [b["label"] for b in launch.buttons("https://github.com/a/b", "main", "book/index")] == [
        "repository"
    ]


def test_the_notebooks_of_a_published_book_begin_with_the_cell_that_colab_needs(launch, tmp_path):
    class App:
        """As much of Sphinx as the extension asks."""

        outdir = str(tmp_path)

        class config:
            html_theme_options = {"repository_url": "https://github.com/a/b"}

    (tmp_path / "_sources" / "notebooks").mkdir(parents=True)
    path = tmp_path / "_sources" / "notebooks" / "10_table1.ipynb"
    shutil.copy(ROOT / "notebooks" / path.name, path)
    launch.add_cell(App, None)
    first, second, *_ = json.loads(path.read_text())["cells"]
    assert "git clone --depth 1 https://github.com/a/b.git" in "".join(first["source"])
    assert "".join(second["source"]).startswith("# Table 1")


def test_metadata_name_the_same_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    zenodo, codemeta = (json.loads((ROOT / name).read_text()) for name in (".zenodo.json", "codemeta.json"))
    assert citation["version"] == zenodo["version"] == codemeta["version"]
    assert citation["license"] == zenodo["license"] and codemeta["license"].endswith(
        f"/{citation['license']}"
    )
    assert citation["title"] == zenodo["title"]


def test_the_first_page_names_and_cites_whom_citation_cff_does():
    citation, page = (
        yaml.safe_load((ROOT / "CITATION.cff").read_text()),
        (ROOT / "book" / "index.md").read_text(),
    )
    (poster,) = citation["references"]
    authors = [f"{author['family-names']}, {author['given-names']}" for author in poster["authors"]]
    for work, by in ((citation, f"{{{citation['authors'][0]['name']}}}"), (poster, " and ".join(authors))):
        assert f"title = {{{work['title']}}},\n  author = {{{by}}}" in page
    assert f"Version {citation['version']}" in page
    assert citation["authors"][0]["name"].lower() in page.split("bibtex")[0].lower()


def test_without_an_address_the_first_page_says_where_the_repository_is_and_with_one_it_links_there(launch):
    says = lambda url: launch.told(url, ["Here."])
    assert says("") == ["Here."] and "<https://github.com/a/b>" in says("https://github.com/a/b")[0]


def test_binder_installs_what_make_setup_does():
    assert (ROOT / "binder" / "requirements.txt").read_text().split() == ["-r", "../requirements.lock"]
    makefile = (
        (ROOT / "Makefile").read_text().replace('"$(PYTHON)"', "python").replace("-m pip install -r", "")
    )
    steps = (ROOT / "binder" / "postBuild").read_text().splitlines()
    wanted = [line for line in steps if line.startswith("python") and "jupyterlab" not in line]
    assert wanted and all(line in makefile for line in wanted)
