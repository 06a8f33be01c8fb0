from __future__ import annotations

from pathlib import Path

from tests.scenario import run_command


def test_a_template_is_copied_and_the_next_command_named(tmp_path: Path) -> None:
    done = run_command("--template", "deploy_search", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "✓ examples/deploy_search.py: the module; examples/search: its service, 2 files" in done.stderr
    assert "Next: ./deploy.sh --emulate examples/deploy_search" in done.stderr
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        "examples/deploy_search.py",
        "examples/search/Dockerfile",
        "examples/search/app.py",
    }


def test_an_unknown_template_is_wrong_usage(tmp_path: Path) -> None:
    done = run_command("template", "deploy_nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown template 'deploy_nothing'" in done.stderr
    assert "use one of: deploy_example, deploy_completions" in done.stderr
    assert list(tmp_path.iterdir()) == []
