"""A site's own Model Analyzer sweep: its columns as Model Analyzer writes them, and the choice among its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rackwright.errors import SiteError, UsageError
from rackwright.sizing.size import Sizing, size
from rackwright.sizing.sweep import read_sweep
from rackwright.sizing.workload import load_workload

# The default headers of Model Analyzer's two files, and the first with p95 in place of p99.
DEFAULT = (
    "Model,Batch,Concurrency,Model Config Path,Instance Group,Max Batch Size,Satisfies Constraints,"
    "Throughput (infer/sec),p99 Latency (ms)"
)
ASKED = DEFAULT.replace("p99", "p95")
ROWS = """\
gpt3_20b,1,1,gpt3_20b_config_default,1:GPU,64,Yes,3.1,330.5
gpt3_20b,1,8,gpt3_20b_config_default,1:GPU,64,Yes,11.2,720.0
gpt3_20b,1,16,gpt3_20b_config_default,1:GPU,64,Yes,14.5,1112.4
gpt3_20b,1,32,gpt3_20b_config_default,1:GPU,64,Yes,15.0,2210.0
gpt3_20b,2,64,gpt3_20b_config_default,1:GPU,64,Yes,16.0,100.0
"""
GPU_HEADER = (
    "Model,GPU UUID,Batch,Concurrency,Model Config Path,Instance Group,Satisfies Constraints,"
    "GPU Memory Usage (MB),GPU Utilization (%),GPU Power Usage (W)"
)
GPU_ROWS = """\
gpt3_20b,GPU-a,1,8,gpt3_20b_config_default,1:GPU,Yes,43600.0,91.0,290.0
gpt3_20b,GPU-b,1,8,gpt3_20b_config_default,1:GPU,Yes,400.0,0.0,60.0
gpt3_20b,GPU-a,1,16,gpt3_20b_config_default,1:GPU,Yes,22400.0,93.5,290.0
gpt3_20b,GPU-b,1,16,gpt3_20b_config_default,1:GPU,Yes,22360.0,93.5,290.0
gpt3_20b,GPU-a,2,64,gpt3_20b_config_default,1:GPU,Yes,99000.0,93.5,290.0
"""


def sweep_file(tmp_path: Path, header: str = ASKED, rows: str = ROWS, gpus: str = GPU_ROWS) -> Path:
    path = tmp_path / "metrics-model-inference.csv"
    path.write_text(f"{header}\n{rows}", encoding="utf-8")
    (tmp_path / "metrics-model-gpu.csv").write_text(f"{GPU_HEADER}\n{gpus}", encoding="utf-8")
    return path


def sized(tmp_path: Path, sweep: Path, **entry: Any) -> Sizing:
    path = tmp_path / "workload.yml"
    path.write_text(yaml.safe_dump({"models": [entry]}), encoding="utf-8")
    return size(load_workload(path, read_sweep(sweep)))


TWENTY = {"model": "nemo-gpt-20b", "sweep_model": "gpt3_20b", "users": 64}


def test_it_replaces_the_designs_figures(tmp_path: Path) -> None:
    sizing = sized(tmp_path, sweep_file(tmp_path), **TWENTY, p95_ms=800)
    (need,) = sizing.needs
    assert need.capacity is not None
    assert (need.capacity.concurrency, need.instances, need.memory_gb) == (8, 8, 43.6)
    assert "2 of 4 measurements keep p95 within 800 ms" in need.capacity.explanation
    assert f"{sweep_file(tmp_path)}:3" in need.capacity.explanation


def test_memory_is_the_fullest_gpus_or_all_of_them_where_the_model_is_spread(tmp_path: Path) -> None:
    by_concurrency = {row.concurrency: row for row in read_sweep(sweep_file(tmp_path))}
    assert by_concurrency[8].memory_gb(42.4) == 43.6
    assert by_concurrency[16].memory_gb(42.4) == pytest.approx(44.76)
    assert by_concurrency[1].memory_gb(42.4) is None
    (tmp_path / "metrics-model-gpu.csv").unlink()
    assert {row.memory_gb(42.4) for row in read_sweep(tmp_path / "metrics-model-inference.csv")} == {None}


def test_a_fault_in_the_second_file_is_shown_there(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, gpus=GPU_ROWS.replace("43600.0", "-"))
    with pytest.raises(SiteError) as caught:
        read_sweep(path)
    assert [(f.file, f.line) for f in caught.value.findings] == [(str(tmp_path / "metrics-model-gpu.csv"), 2)]


def test_of_equally_many_instances_the_soonest_answer(tmp_path: Path) -> None:
    """20 users take one instance at 32 requests at a time; 8 users take one at 8, which answers soonest."""
    sweep = sweep_file(tmp_path)
    twenty = TWENTY | {"users": 20}
    within_all = sized(tmp_path, sweep, **twenty, p95_ms=3000).needs[0]
    assert within_all.capacity is not None
    assert (within_all.capacity.concurrency, within_all.instances) == (32, 1)
    eight = TWENTY | {"users": 8}
    needs_one = sized(tmp_path, sweep, **eight, p95_ms=3000).needs[0]
    assert needs_one.capacity is not None
    assert (needs_one.capacity.concurrency, needs_one.capacity.latency_ms) == (8, 720.0)


def test_without_a_target_the_most_inferences_for_the_latency(tmp_path: Path) -> None:
    (need,) = sized(tmp_path, sweep_file(tmp_path), **TWENTY).needs
    assert need.capacity is not None
    assert need.capacity.concurrency == 8  # 11.2/720 is the greatest of the four quotients
    assert "states no target" in need.capacity.explanation


def test_rows_of_larger_batches_and_of_several_models_are_left_out(tmp_path: Path) -> None:
    both = '"gpt3_20b,other","1,1","4,4","a,b","1:GPU,1:GPU","1,1",Yes,"421.0, [184.5,236.5]","20.7, [23.9,17.4]"\n'
    assert [row.concurrency for row in read_sweep(sweep_file(tmp_path, rows=ROWS + both))] == [1, 8, 16, 32]


def test_p99_stands_in_for_p95_and_says_so(tmp_path: Path) -> None:
    rows = "gpt3_20b,1,8,gpt3_20b_config_1,2:GPU,64,Yes,11.2,720.0\n"
    sizing = sized(tmp_path, sweep_file(tmp_path, DEFAULT, rows), **TWENTY, p95_ms=720)
    (need,) = sizing.needs
    assert need.capacity is not None
    assert "p99 720 ms, an upper bound of p95" in need.capacity.explanation
    assert read_sweep(sweep_file(tmp_path, DEFAULT, rows))[0].instances == 2
    assert need.memory_gb == pytest.approx(2 * 42.4)
    assert "2 copies" in need.memory_explanation


def test_a_target_below_all_measurements_says_what_would_do(tmp_path: Path) -> None:
    sizing = sized(tmp_path, sweep_file(tmp_path), **TWENTY, p95_ms=300)
    assert sizing.best is None
    (problem,) = sizing.needs[0].problems
    assert "the lowest is 330.5 ms with 1 request at a time" in problem.message
    assert problem.options[0] == "a target of 331 ms or more"


def test_a_model_that_the_sweep_doesnt_have_falls_back_to_the_design(tmp_path: Path) -> None:
    (need,) = sized(tmp_path, sweep_file(tmp_path), model="nemo-gpt-5b", users=32).needs
    assert need.instances == 8
    (other,) = sized(tmp_path, sweep_file(tmp_path), model="llama-2-7b", users=32).needs
    assert "the sweep has gpt3_20b, not 'llama-2-7b'" in other.problems[0].message


@pytest.mark.parametrize(
    ("header", "rows", "line", "message", "hint"),
    [
        (ASKED.replace("Concurrency", "Request Rate"), ROWS, 1, "no column 'Concurrency'", "--concurrency"),
        (DEFAULT.replace(",p99 Latency (ms)", ""), "", 1, "no column 'p95 Latency (ms)'", "perf_latency_p95"),
        ("a;b", "1;2\n", 1, "no column 'Model'", "as Model Analyzer wrote it"),
        (ASKED, ROWS.replace("720.0", "n/a"), 3, "no number where one belongs", ""),
        (ASKED, ROWS.replace("720.0", "-1"), 3, "no number where one belongs", ""),
        (ASKED, ROWS.replace("gpt3_20b,1,8,", "gpt3_20b,1,0,"), 3, "no number where one belongs: '0'", ""),
        (ASKED, ROWS.splitlines()[-1] + "\n", 1, "no row of a single model", "--batch-sizes 1"),
        (ASKED, "gpt3_20b,1\n", 2, "no number where one belongs", ""),
    ],
)
def test_faults_at_their_line(
    tmp_path: Path, header: str, rows: str, line: int, message: str, hint: str
) -> None:
    path = sweep_file(tmp_path, header, rows)
    with pytest.raises(SiteError) as caught:
        read_sweep(path)
    found = [(f.file, f.line) for f in caught.value.findings if message in f.message and hint in f.hint]
    assert found == [(str(path), line)]


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no sweep"):
        read_sweep(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SiteError, match="not UTF-8"):
        read_sweep(tmp_path / "binary.csv")
