import shutil
from pathlib import Path

from opensloth_core.data import version
from opensloth_core.data.version import preparation_digest


def test_the_digest_names_the_code_and_the_libraries_that_shape_tokens() -> None:
    parts = preparation_digest()
    assert set(parts) == {"code", "code_version", "tokenizers", "transformers", "jinja2"}
    assert parts == preparation_digest()


def test_a_change_of_code_changes_the_digest(tmp_path: Path) -> None:
    folder = shutil.copytree(Path(version.__file__).parent, tmp_path / "data")
    namespace = {"__file__": str(folder / "version.py"), "__name__": "copied"}
    source = compile((folder / "version.py").read_text(), "version.py", "exec")
    exec(source, namespace)
    assert namespace["preparation_digest"]()["code"] == preparation_digest()["code"]  # type: ignore[operator]
    (folder / "render" / "renderer.py").write_text("")
    exec(source, namespace)
    assert namespace["preparation_digest"]()["code"] != preparation_digest()["code"]  # type: ignore[operator]
