"""Crawls through yt-dlp, as a user runs them, against a web on loopback: its generic extractor reads the pages."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web as aioweb
from sqlalchemy import select, update

from db.ledger import now
from db.models import Asset, Decision, Host, Job
from omnisrc.crawl.ytdlp.downloader import Downloader, Told
from omnisrc.study import Study
from omnisrc.web.download import Body
from tests.crawl.studies import assets, crawl_study, hurry, plan_crawl, work
from tests.crawl.test_command import run
from tests.crawl.test_fetch import by_name, check_shards
from tests.local_web import LocalWeb
from tests.media_files import video_bytes
from tests.services import until
from tests.web.asking import trap

PAGE = "<!doctype html><html><head><title>{title}</title></head><body><video src='{src}'></video></body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}
NOAI = b"<!doctype html><head><meta name='robots' content='noindex, NoImageAI'></head>"
LONG = """<html><head><title>x</title><script type="application/ld+json">{
"@context": "https://schema.org", "@type": "VideoObject", "name": "x", "duration": "PT2H", "contentUrl": "%s"
}</script></head></html>"""


def page(web: LocalWeb, path: str, src: str, headers: dict[str, str] | None = None) -> str:
    body = PAGE.format(title=path[1:], src=src).encode()
    return web.add(path, body, headers={"Content-Type": "text/html", **(headers or {})})


def media(web: LocalWeb, path: str, seed: int = 0, frames: int = 25) -> str:
    body = video_bytes(frames, width=176, height=144, seed=seed)
    return web.add(path, body, headers={"Content-Type": "video/mp4"})


def hang(web: LocalWeb, path: str, first: bytes = b"") -> str:
    """A medium that begins and does not go on."""

    async def answer(request: aioweb.Request) -> aioweb.StreamResponse:
        response = aioweb.StreamResponse(headers={"Content-Length": "5000000", "Content-Type": "video/mp4"})
        await response.prepare(request)
        await response.write(first)
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(0.05)
        return response

    web.routes[path] = answer
    return web.url + path


def offer(folder: Path, *urls: str) -> Path:
    table = folder / "pages.txt"
    table.write_text("".join(f"brush hair\t{url}\n" for url in urls))
    return table


def crawl(tmp_path: Path, web: LocalWeb, class_file: Path, table: Path, *more: str) -> dict[str, Any]:
    sets = [
        "providers.ytdlp.accept_terms=true", f"providers.ytdlp.pages={table}", f"crawl.allow_hosts=['{web.site}']",
        "crawl.host_rate=0", "media.guard_processes=1", "providers.ytdlp.request_pause=0", *more,
    ]  # fmt: skip
    arguments = ["--classes", str(class_file), "--provider", "ytdlp", "--media", "video", "--json"]
    done = run(tmp_path / "study", *arguments, *[part for text in sets for part in ("--set", text)])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def downloaders() -> set[int]:
    """The downloader processes of this machine."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return {int(line.split()[0]) for line in listed.splitlines() if "-m omnisrc.crawl.ytdlp.child" in line}


def test_pages_end_stored_refused_or_gone(tmp_path: Path, web: LocalWeb, class_file: Path) -> None:
    web.add("/robots.txt", b"User-agent: *\nDisallow: /private/\n")
    with trap() as seen:
        inside = f"http://127.0.0.99:{seen[0]}/secret.mp4"
        first, second = media(web, "/1.mp4", 7), media(web, "/2.mp4", 8)
        two = f"<html><body><video src='{first}'></video><video src='{second}'></video></body></html>".encode()
        table = offer(
            tmp_path,
            page(web, "/good", media(web, "/good.mp4", 1)),
            media(web, "/direct.mp4", 2),
            page(web, "/inside", inside),
            web.redirect("/moved", inside),
            inside + "?by=itself",
            web.add("/long", (LONG % media(web, "/long.mp4", 3)).encode(), headers={"Content-Type": "text/html"}),
            media(web, "/plays.mp4", 4, frames=100),
            page(web, "/private/page", media(web, "/p.mp4", 5)),
            page(web, "/noai", media(web, "/noai.mp4", 6), headers={"X-Robots-Tag": "noai"}),
            web.add("/meta", NOAI + PAGE.format(title="x", src=media(web, "/meta.mp4", 9)).encode(), headers=HTML),
            web.add("/two", two, headers={"Content-Type": "text/html"}),
            web.add("/gone", status=404),
            web.add("/text", b"<html><body>nothing here</body></html>", headers={"Content-Type": "text/html"}),
            web.add("/broken.mp4", b"\0\0\0\x18ftypmp42" + bytes(5000), headers={"Content-Type": "video/mp4"}),
            web.add("/large.mp4", bytes(3_000_000), headers={"Content-Type": "video/mp4"}),
        )
        answer = crawl(
            tmp_path, web, class_file, table, "providers.ytdlp.max_duration=3", "crawl.max_video_bytes=2000000"
        )
    assert len(seen) == 1, "nobody connected to the inside address"
    study = Study.open(tmp_path / "study")
    assert {name: (state, error) for name, (state, error, _) in by_name(study).items()} == {
        "good": ("stored", None), "direct.mp4": ("stored", None),
        "inside": ("refused", "refused-address"), "moved": ("refused", "refused-address"),
        "secret.mp4?by=itself": ("refused", "refused-address"),
        "long": ("refused", "too-large"), "plays.mp4": ("refused", "too-large"),
        "page": ("refused", "robots"), "noai": ("refused", "opt-out"),
        "meta": ("refused", "opt-out"), "gone": ("failed", "http-4xx"),
        "two": ("refused", "not-media"),
        "text": ("refused", "not-media"), "broken.mp4": ("refused", "decode"), "large.mp4": ("refused", "too-large"),
    }  # fmt: skip
    assert answer["assets"]["stored"] == 2 and check_shards(study) == 2
    detail = study.database().read(lambda s: s.scalar(select(Asset.error_detail).where(Asset.url == web.url + "/long")))
    assert detail.startswith("plays 7200 s") and web.count("/private/page") == 0
    assert web.count("/meta") > 0 and web.count("/meta.mp4") == 0, "a page's own word comes before its video"
    rows = study.database().read(lambda s: s.scalars(select(Decision.evidence).where(Decision.kind == "opt-out")).all())
    (said,) = [row for row in rows if row["signal"] == "meta robots"]
    assert (said["said"], said["where"]) == ("noindex, NoImageAI", web.url + "/meta") and said["at"] > 0


def test_a_hanging_medium_is_given_up_and_its_process_is_gone(tmp_path: Path, web: LocalWeb, class_file: Path) -> None:
    before = downloaders()
    table = offer(
        tmp_path,
        page(web, "/slow", hang(web, "/slow.mp4", b"\0\0\0\x18ftypmp42")),
        page(web, "/ok", media(web, "/ok.mp4")),
    )
    crawl(tmp_path, web, class_file, table, "crawl.video_deadline_s=3", "crawl.idle_s=60")
    outcome = by_name(Study.open(tmp_path / "study"))
    assert outcome["slow"][:2] == ("failed", "timeout") and outcome["ok"][:2] == ("stored", None)
    assert downloaders() - before == set() and web.count("/slow.mp4") >= 2, "it was tried twice"


def test_a_downloader_that_dies_loses_nothing(tmp_path: Path, web: LocalWeb, class_file: Path) -> None:
    clip = video_bytes(25, width=176, height=144, seed=1)
    before = downloaders()
    killed: list[int] = []

    async def answer(request: aioweb.Request) -> aioweb.StreamResponse:
        response = aioweb.StreamResponse(headers={"Content-Length": str(len(clip)), "Content-Type": "video/mp4"})
        await response.prepare(request)
        await response.write(clip[:2000])
        if request.headers.get("Range") is None and len(killed) < 1:
            killed.extend(pid for pid in downloaders() - before)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            return response
        await response.write(clip[2000:])
        return response

    web.routes["/a.mp4"] = answer
    table = offer(tmp_path, page(web, "/a", web.url + "/a.mp4"), page(web, "/b", media(web, "/b.mp4", 2)))
    crawl(tmp_path, web, class_file, table)
    study = Study.open(tmp_path / "study")
    assert len(killed) == 1 and check_shards(study) == 2
    assert {asset["state"] for asset in assets(study)} == {"stored"}
    assert list(study.landing.glob("fetch-*")) == []


def test_the_provider_is_off_until_its_terms_are_accepted(tmp_path: Path, class_file: Path) -> None:
    done = run(tmp_path / "study", "--classes", str(class_file), "--provider", "ytdlp", "--media", "video")
    lines = [line for line in done.stderr.splitlines() if line.startswith("omnisrc:")]
    assert done.returncode == 2 and len(lines) == 1 and "providers.ytdlp.accept_terms=true" in lines[0]


def in_process(study: Study, table: Path, class_file: Path, *hosts: str) -> Study:
    """A crawl of these pages by this process, worked off once."""
    own = crawl_study(
        study, "providers.ytdlp.accept_terms=true", f"providers.ytdlp.pages={table}",
        f"crawl.allow_hosts={list(hosts)}", "providers.ytdlp.request_pause=0",
    )  # fmt: skip
    top_up, _ = plan_crawl(own, class_file, "ytdlp", ("video",))
    own.database().write(top_up)
    work(own)
    return own


def test_a_site_that_limits_its_rate_is_left_alone_for_an_hour(
    study: Study, tmp_path: Path, web: LocalWeb, class_file: Path
) -> None:
    own = in_process(study, offer(tmp_path, *[web.add(f"/{n}", status=429) for n in range(9)]), class_file, web.site)
    row, moment = own.database().read(lambda s: (s.get(Host, web.site), now(s)))
    assert 3000 < row.not_before - moment <= 3600
    assert sum(web.count(f"/{n}") for n in range(9)) <= 4 * 2, "those that were begun, each with one more try"


def test_what_a_page_tells_of_its_licence_and_author_is_kept(
    study: Study, tmp_path: Path, class_file: Path, web: LocalWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = video_bytes(25, width=176, height=144)

    async def download(self: Downloader, page: object, limits: object, wishes: object) -> tuple[Body, Told]:
        return Body(clip, len(clip), hashlib.sha256(clip).hexdigest()), Told("CC BY 3.0", "Ann")

    monkeypatch.setattr(Downloader, "download", download)
    own = in_process(study, offer(tmp_path, web.url + "/a"), class_file, web.site)
    (asset,) = assets(own)
    assert (asset["state"], asset["license"], asset["author"]) == ("stored", "CC BY 3.0", "Ann")


def test_a_worker_without_the_users_word_downloads_nothing(
    study: Study, tmp_path: Path, class_file: Path, web: LocalWeb
) -> None:
    """The assets of a crawl stay; a later one whose settings take the word back asks nobody."""
    own = in_process(study, offer(tmp_path, web.add("/a", status=503)), class_file, web.site)
    asked = web.count("/a")

    def refused() -> bool:
        hurry(own)
        own.database().write(lambda s: s.execute(update(Job).where(Job.stage == "fetch").values(state="waiting")))
        own.database().write(lambda s: s.execute(update(Job).values(overrides=["crawl.host_rate=0"], not_before=0)))
        work(own, "fetch")
        return assets(own)[0]["error"] == "provider"

    until(refused)  # what waits at a host is counted from time to time: a job can come too soon
    assert asked > 0 and web.count("/a") == asked
