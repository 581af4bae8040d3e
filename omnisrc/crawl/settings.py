"""Settings of the crawl and of the providers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from omnisrc.config import Size
from omnisrc.licences import LicenceRules
from omnisrc.web.registrable import unit_of_name

NO_LIMIT = Size(0)
PRODUCT_TOKEN = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class HostSettings:
    """What differs for one host; what is not set is as for all."""

    rate: float | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        if (self.rate or 0.0) < 0:
            raise ValueError("rate is at least 0 (0: no pacing)")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError("concurrency is at least 1; to stop asking a host, pause it: `omnisrc crawl pause HOST`")


SLOW_HOSTS = {"youtube.com": HostSettings(rate=0.1, concurrency=1)}
"""Hosts that bar who asks faster; `crawl.hosts` goes before."""


@dataclass(frozen=True)
class CrawlSettings:
    """How the web is asked, and how much of it. Sizes are in bytes, times in seconds."""

    contact: str = ""  # who a server's owner can write to (URL or e-mail); part of the User-Agent
    allow_hosts: tuple[str, ...] = ()  # HOST:PORT that may be private addresses
    host_rate: float = 4.0  # requests a second to one host, over all workers; 0: as fast as it answers
    host_concurrency: int = 2  # requests at a time to one host, over all workers
    hosts: dict[str, HostSettings] = field(
        default_factory=dict
    )  # HOST -> what differs where it belongs (docs/controls)

    images_per_class: int = 100
    videos_per_class: int = 20
    min_side: int = 128  # images and videos with a shorter side are refused
    max_image_bytes: int = 32 * 2**20
    max_video_bytes: int = 128 * 2**20

    connect_s: float = 10.0
    idle_s: float = 15.0  # silence in the middle of an answer
    image_deadline_s: float = 30.0
    video_deadline_s: float = 180.0
    min_speed: float = 4096.0  # bytes a second, over a whole body that takes longer than 5 s
    longest_wait_s: float = 600.0  # a crawl ends, and says so, when nothing can be fetched sooner than this

    licences: LicenceRules = field(default_factory=LicenceRules)  # of what is fetched; narrows the section licences
    optout_agents: tuple[str, ...] = ()  # further product tokens that owners may mean us by, such as GPTBot
    breaker_failures: int = 8  # so many in a row (no connection, no answer in time, 5xx) open a host's breaker; 0: none
    breaker_openings: int = 5  # when it opens so often with no answer between, what waits there fails; 0: never

    longest_crawl_delay_s: float = 60.0  # a Crawl-delay counts as no more than this

    concurrency: int = 128  # items at a time in one worker, over all hosts
    drains: int = 0  # fetch jobs at a time, each with its share of every host; 0: as many as workers take
    drain_s: float = 20.0  # one fetch job takes new items for so long,
    shard_bytes: int = 64 * 2**20  # and records what came of them, in shards of their own, each time they hold so much
    max_disk: Size = NO_LIMIT  # landing shards take no more; 0: however much
    min_free_disk: Size = NO_LIMIT  # so much of the workspace's volume stays free; 0: down to nothing
    max_hours: float = 0.0  # of crawling, over all crawl commands of the study; 0: however long
    max_bytes_per_second: Size = NO_LIMIT  # of media, over all workers (not by yt-dlp); 0: however fast they come
    max_download: Size = NO_LIMIT  # of media, over all crawl commands of the study; 0: however much
    max_days: float = 0.0  # a crawl whose plan takes longer is refused; 0: however long it takes

    def __post_init__(self) -> None:
        if self.host_concurrency < 1 or self.concurrency < 1:
            raise ValueError("host_concurrency and concurrency are at least 1")
        if self.host_rate < 0:
            raise ValueError("host_rate is at least 0 (0: no pacing)")
        if min(self.breaker_failures, self.breaker_openings) < 0:
            raise ValueError("breaker_failures and breaker_openings are at least 0 (0: none)")
        if min(self.connect_s, self.idle_s, self.image_deadline_s, self.video_deadline_s, self.drain_s) <= 0:
            raise ValueError("connect_s, idle_s, image_deadline_s, video_deadline_s and drain_s are more than 0")
        if min(self.max_image_bytes, self.max_video_bytes, self.shard_bytes) < 1:
            raise ValueError("max_image_bytes, max_video_bytes and shard_bytes are at least 1")
        if min(self.drains, self.min_speed, self.longest_wait_s) < 0:
            raise ValueError("drains, min_speed and longest_wait_s are at least 0")
        if self.longest_crawl_delay_s < 0:
            raise ValueError("longest_crawl_delay_s is at least 0 (0: no Crawl-delay counts)")
        if not all(PRODUCT_TOKEN.fullmatch(agent) for agent in self.optout_agents):
            raise ValueError("optout_agents are product tokens (letters, digits and _.-), such as GPTBot")
        if min(self.images_per_class, self.videos_per_class, self.min_side) < 0:
            raise ValueError("images_per_class, videos_per_class and min_side are at least 0")
        for name in self.hosts:
            unit_of_name(name.lower())  # raises ValueError for a number that is no address
        if min(self.max_days, self.max_hours) < 0:
            raise ValueError("max_days and max_hours are at least 0 (0: however long it takes)")

    def per_class(self, kind: str) -> int:
        """How many stored assets of a kind a class should get."""
        return self.images_per_class if kind == "image" else self.videos_per_class

    def host(self, site: str) -> HostSettings:
        """What counts for a host, as `WebUrl.site` names it."""
        named = self.named(site)
        rate = self.host_rate if named.rate is None else named.rate
        return HostSettings(rate, self.host_concurrency if named.concurrency is None else named.concurrency)

    def names_rate(self, site: str) -> bool:
        """Whether a rate is set for this very host."""
        named = self._set(site)
        return named is not None and named.rate is not None

    def named(self, site: str) -> HostSettings:
        """What is set for this very host, under its name with or without its port, or what it needs anyway."""
        given = self._set(site)
        if given is None and any(name in site for name in SLOW_HOSTS):  # or else the suffix list need not be read
            given = SLOW_HOSTS.get(unit_of_name(site))
        return given or HostSettings()

    def _set(self, site: str) -> HostSettings | None:
        """What is set under the host's own name, else under names that belong to it: the most careful of these."""
        own = self.hosts.get(site) or self.hosts.get(site.rpartition(":")[0])
        if own is not None or not self.hosts:
            return own
        unit = unit_of_name(site)
        found = [given for name, given in self.hosts.items() if unit_of_name(name.lower()) == unit]
        rates = [given.rate for given in found if given.rate is not None]
        counts = [given.concurrency for given in found if given.concurrency is not None]
        slowest = min(rates, key=lambda rate: rate or float("inf"), default=None)  # 0: no pacing
        return HostSettings(slowest, min(counts, default=None)) if found else None


@dataclass(frozen=True)
class CommonsSettings:
    """Wikimedia Commons, or another MediaWiki with the same search."""

    endpoint: str = "https://commons.wikimedia.org/w/api.php"


@dataclass(frozen=True)
class TableSettings:
    """Tables of URLs: CSV, TSV, JSON lines or Parquet."""

    path: str = ""  # a file, or a pattern such as urls/*.csv
    columns: dict[str, str] = field(default_factory=dict)  # our name (url, class, text, ...) -> the table's column
    kind: Literal["image", "video", ""] = ""  # what the URLs are; empty: by a column `kind`, else by each URL's suffix


@dataclass(frozen=True)
class FolderSettings:
    """A folder of media with one subfolder a class."""

    path: str = ""


@dataclass(frozen=True)
class OpenverseSettings:
    """Openverse. What must stay secret is in a file or in the environment, never here."""

    endpoint: str = "https://api.openverse.org/v1/"
    credentials: str = ""  # a file with client_id and client_secret; else OMNISRC_OPENVERSE_CLIENT_ID and _SECRET
    license_type: tuple[Literal["all", "all-cc", "commercial", "modification"], ...] = ()  # what all of them allow
    sources: tuple[str, ...] = ()  # such as flickr, wikimedia; empty: all
    mature: bool = False  # ask for sensitive images too


@dataclass(frozen=True)
class ArchiveSettings:
    """The Internet Archive."""

    endpoint: str = "https://archive.org"
    licenses: Literal["open", "any"] = "open"  # open: only items with a Creative Commons or public-domain licence URL
    sort: str = "downloads desc"  # the order of results; the cursor search knows no relevance


@dataclass(frozen=True)
class FlickrSettings:
    """Flickr. Its key comes from OMNISRC_FLICKR_KEY, or from a file."""

    endpoint: str = "https://api.flickr.com/services/rest/"
    key_file: str = ""
    licenses: tuple[int, ...] = (4, 5, 7, 8, 9, 10)  # Flickr's licence ids (docs/providers.md); empty: any at all


@dataclass(frozen=True)
class YoutubeSettings:
    """The YouTube Data API. Its key comes from OMNISRC_YOUTUBE_KEY, or from a file."""

    endpoint: str = "https://www.googleapis.com/youtube/v3"
    key_file: str = ""
    license: Literal["any", "creativeCommon"] = "creativeCommon"
    definition: Literal["any", "high", "standard"] = "any"
    duration: Literal["any", "short", "medium", "long"] = "any"  # short: under 4 minutes; long: over 20


@dataclass(frozen=True)
class PexelsSettings:
    """Pexels. Its key comes from OMNISRC_PEXELS_KEY, or from a file."""

    endpoint: str = "https://api.pexels.com/v1"
    key_file: str = ""
    permission: str = ""  # the written permission to build a data set: a file, or who gave it and when


@dataclass(frozen=True)
class PixabaySettings:
    """Pixabay. Its key comes from OMNISRC_PIXABAY_KEY, or from a file."""

    endpoint: str = "https://pixabay.com/api"
    key_file: str = ""
    permission: str = ""  # the written permission to build a data set: a file, or who gave it and when


@dataclass(frozen=True)
class YtdlpSettings:
    """yt-dlp: YouTube's search, or a table of pages of any site that yt-dlp supports."""

    accept_terms: bool = False  # you have read the terms of the sites, and may download from them
    pages: str = ""  # a file with `class<TAB>url` lines, or a CSV table; empty: search YouTube
    max_height: int = 480
    max_duration: float = 600.0  # seconds; a longer video is refused
    licenses: tuple[str, ...] = ()  # words one of which a page's licence must have, as `creative commons`; empty: any
    request_pause: float = 0.75  # seconds between the requests that one page takes
    downloads_per_process: int = 50  # a downloader process is replaced after so many

    def __post_init__(self) -> None:
        if self.max_height < 1 or self.downloads_per_process < 1:
            raise ValueError("max_height and downloads_per_process are at least 1")
        if min(self.max_duration, self.request_pause) < 0:
            raise ValueError("max_duration and request_pause are at least 0")


@dataclass(frozen=True)
class ProviderSettings:
    """The providers, each with its own settings."""

    commons: CommonsSettings = field(default_factory=CommonsSettings)
    table: TableSettings = field(default_factory=TableSettings)
    folder: FolderSettings = field(default_factory=FolderSettings)
    openverse: OpenverseSettings = field(default_factory=OpenverseSettings)
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    flickr: FlickrSettings = field(default_factory=FlickrSettings)
    youtube: YoutubeSettings = field(default_factory=YoutubeSettings)
    pexels: PexelsSettings = field(default_factory=PexelsSettings)
    pixabay: PixabaySettings = field(default_factory=PixabaySettings)
    ytdlp: YtdlpSettings = field(default_factory=YtdlpSettings)
