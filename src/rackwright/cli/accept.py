"""``rackwright accept``: hold GPU servers against what was ordered, and write their certificates.

With a site alone through its cluster, a Job on each server (playbooks/accept.yml); with ``--node``, ``--profile`` or
``--gpu`` on the very server that this runs on.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from rackwright.acceptance.promise import Promise, designs, of_gpu, of_profile
from rackwright.acceptance.run import Plan, accept
from rackwright.acceptance.serve import Installation, Settings
from rackwright.acceptance.sweep import Tokens
from rackwright.catalog import Catalogue, builtin
from rackwright.errors import ExitCode, UsageError
from rackwright.paths import build_dir, checkout
from rackwright.processes import terminable


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    arguments(
        subparsers.add_parser(
            "accept",
            help="measure GPU servers against what was ordered",
            description="SITE alone: a Job on each of its GPU servers, through its cluster. With --node, --profile or "
            "--gpu: this very server. Measures GPUs and, with Triton, synthetic GPTs of the design's sizes; writes a "
            "certificate for each server. Changes no setting of a GPU.",
        )
    )


def arguments(command: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    command.add_argument(
        "site", metavar="SITE", nargs="?", help="the site whose servers are accepted; with --node this one's"
    )
    command.add_argument("--limit", default="", metavar="NODE,…",
                         help="through the cluster: only these servers")  # fmt: skip
    command.add_argument(
        "--again", action="store_true", help="through the cluster: also servers that have been accepted"
    )
    command.add_argument("--image", metavar="IMAGE",
                         help="through the cluster: one with PyTorch beside Triton; default: the site's Triton")  # fmt: skip
    command.add_argument(
        "--check", action="store_true", help="through the cluster: only say which servers would be measured"
    )
    command.add_argument(
        "--node", metavar="NAME", help="this server's name: in the site, or for the certificate"
    )
    command.add_argument("--profile", help="without a site: the server's profile in the catalogue")
    command.add_argument(
        "--gpu",
        metavar="GPU",
        help="without a site: the catalogue's GPU; default: the profile's usual one. Without --profile: a server "
        "that is none of the catalogue's",
    )
    command.add_argument("--count", type=int, metavar="N", help="without a site: how many GPUs were ordered")
    command.add_argument("--models", default="345m,1.3b,5b,20b", metavar="SIZES",
                         help="sizes of the synthetic GPT, or none (default: %(default)s)")  # fmt: skip
    command.add_argument("--triton", type=Path, default=Path("/opt/tritonserver"), metavar="DIR",
                         help="where bin/tritonserver, lib and backends lie (default: %(default)s)")  # fmt: skip
    command.add_argument("--python-path", default="", metavar="DIRS",
                         help="what the backend's python needs beside its own: a numpy below 2, PyTorch")  # fmt: skip
    command.add_argument(
        "--prompt", type=int, default=32, metavar="N", help="prompt tokens (default: %(default)s)"
    )
    command.add_argument("--new", type=int, default=20, metavar="N", help="new tokens (default: %(default)s)")
    command.add_argument("--grid", default="2x16,1x4", metavar="IxS,…",
                         help="settings beside 1x16: instances x sequences at once (default: %(default)s)")  # fmt: skip
    command.add_argument("--concurrency", default="1,4,8,16,32", metavar="N,…", help="default: %(default)s")
    command.add_argument(
        "--seconds", type=float, default=5.0, help="of each measurement (default: %(default)s)"
    )
    command.add_argument("--target-ms", type=float, metavar="MS",
                         help="p95 for the best setting; default: the design's of each model")  # fmt: skip
    command.add_argument("--output", type=Path, metavar="DIR", help="default: build/acceptance/<host>")
    command.set_defaults(run=run)


def promised(args: argparse.Namespace) -> tuple[Promise, str]:
    """What was ordered, and the server's name. Raises UsageError where neither says it."""
    if args.site is not None:
        from rackwright.acceptance.ordered import (
            of_node,
        )  # a site needs more packages than a GPU server may have

        return of_node(args.site, args.node), args.node
    if args.profile is None:
        if args.gpu is None:
            raise UsageError(
                "what was ordered?", "give a site and --node, or --profile, or --gpu (and --count) alone"
            )
        return of_gpu(builtin(), args.gpu, args.count or 1), args.node or socket.gethostname()
    return of_profile(builtin(), args.profile, args.gpu, args.count), args.node or socket.gethostname()


def planned(args: argparse.Namespace, catalogue: Catalogue) -> Plan:
    """What to do. Raises UsageError for sizes, settings or places that don't exist."""
    known = designs(catalogue)
    sizes = () if args.models == "none" else tuple(filter(None, args.models.split(",")))
    unknown = [size for size in sizes if size not in known]
    if unknown:
        raise UsageError(
            f"no synthetic GPT of size {', '.join(unknown)}", f"sizes: {', '.join(known)}; or none"
        )
    tokens = Tokens(args.prompt, args.new)
    if not 2 <= tokens.prompt <= 32 or tokens.new < 1 or tokens.prompt + tokens.new > Settings().context:
        raise UsageError(
            f"{tokens.prompt} prompt and {tokens.new} new tokens don't fit",
            f"2 to 32 prompt tokens, and {Settings().context} together at most",
        )
    try:
        grid = tuple(Settings(*map(int, one.split("x"))) for one in filter(None, args.grid.split(",")))
        counts = tuple(int(one) for one in args.concurrency.split(","))
    except (TypeError, ValueError):
        raise UsageError(
            "--grid or --concurrency can't be read", "--grid 2x16,1x4 --concurrency 1,4,16"
        ) from None
    if any(one.instances < 1 or one.slots < 1 for one in grid) or min(counts) < 1 or args.seconds <= 0:
        raise UsageError("settings, concurrencies and seconds are above 0", "--grid 2x16 --concurrency 1,4")
    return Plan(sizes, tokens, grid, counts, args.seconds, args.target_ms)


def installation(args: argparse.Namespace, plan: Plan) -> Installation | None:
    """Where the programs lie; None where no models are wanted. Raises UsageError where there is no Triton."""
    if not plan.models:
        return None
    if not (args.triton / "bin" / "tritonserver").is_file():
        raise UsageError(
            f"no Triton below {args.triton}", "--triton DIR with bin/tritonserver; or --models none"
        )
    model = checkout() / "packaging" / "models" / "synthetic-gpt"
    return Installation(args.triton.absolute(), model, args.python_path)


def through_the_cluster(args: argparse.Namespace) -> int:
    """Run playbooks/accept.yml for a site; what its servers' certificates say, as an exit code.

    Raises UsageError for a server that isn't one of the site's with GPUs.
    """
    # A site needs more packages than a GPU server may have.
    from rackwright.rollout.ready import load_ready_site
    from rackwright.site import resolve_site

    site = resolve_site(args.site)
    model = load_ready_site(site)
    known = [node.name for node in model.gpu_workers if node.gpus is not None]
    names = [name for name in args.limit.split(",") if name]
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        raise UsageError(f"{', '.join(unknown) or 'nothing'} is no GPU server of {model.name}",
                         f"these are: {', '.join(known) or 'none'}")  # fmt: skip
    output = (args.output or build_dir() / "acceptance" / model.name).absolute()
    extra: dict[str, object] = {
        "acceptance_nodes": names,
        "acceptance_again": args.again,
        "acceptance_output": str(output),
        "acceptance_models": [] if args.models == "none" else args.models.split(","),
    } | ({"acceptance_image": args.image} if args.image else {})
    beside = Path(sys.executable).parent / "ansible-playbook"
    command = [str(beside) if beside.exists() else "ansible-playbook", "-i", str(site), *["--check"] * args.check,
               "--extra-vars", json.dumps(extra), str(checkout() / "playbooks" / "accept.yml")]  # fmt: skip
    done = subprocess.run(
        command, env={**os.environ, "ANSIBLE_CONFIG": str(checkout() / "ansible.cfg")}, check=False
    )
    if done.returncode or args.check:
        return ExitCode.NOT_AS_IT_SHOULD_BE if done.returncode else ExitCode.DONE
    results = {}
    for name in names or known:
        file = output / name / "certificate.json"
        results[name] = json.loads(file.read_text(encoding="utf-8"))["result"] if file.exists() else "missing"
        print(f"{name}: {results[name]}")
    if all(result == "passed" for result in results.values()):
        return ExitCode.DONE
    print("not all were accepted: an incomplete certificate says why speed was not exercised (--image)")
    return ExitCode.NOT_AS_IT_SHOULD_BE


def run(args: argparse.Namespace) -> int:
    """Accept; 0 when everything passed, 1 when a check failed or the speed wasn't exercised."""
    if args.site is not None and args.node is None:
        return through_the_cluster(args)
    if args.limit or args.again or args.image or args.check:
        raise UsageError("--limit, --again, --image and --check are for a run through the cluster",
                         "rackwright accept SITE --limit NODE, without --node")  # fmt: skip
    promise, host = promised(args)
    plan = planned(args, promise.catalogue)
    installed = installation(args, plan)
    output = (args.output or build_dir() / "acceptance" / host).absolute()
    with terminable():  # else a Triton would stay behind, and the GPU's memory with it
        certificate = accept(promise, plan, installed, output, host, lambda words: print(words, flush=True))
    for one in certificate.all_outcomes:
        hint = f"\n    hint: {one.hint}" if one.hint else ""
        print(f"{one.result:12}  {one.id:22} {one.target:10} {one.evidence}{hint}")
    print(f"\n{host} {certificate.result} in {certificate.seconds:.0f} s")
    return ExitCode.DONE if certificate.result == "passed" else ExitCode.NOT_AS_IT_SHOULD_BE
