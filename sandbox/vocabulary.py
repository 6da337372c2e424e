"""What the generated data is made of: names, places, devices, pages and pieces of JSON, as plain data.

The pieces are chosen for what breaks loaders, each seen in real projects: keys that differ only in case or
punctuation, keys that are empty or emoji, one key with several types, integers beyond 2^53, text with quotes,
backslashes and line breaks, right-to-left and CJK text. Event names, property names and the syntax of elements
chains are PostHog's (posthog-js and posthog/models/element/element.py, autumn 2026).
"""

from __future__ import annotations

import json
from typing import Any


def fragment(properties: dict[str, Any]) -> str:
    """Return the members of a JSON object without its braces, as posthog-js writes them."""
    return json.dumps(properties, ensure_ascii=False, separators=(",", ":"))[1:-1]


_CHROME = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
_SAFARI = "Mozilla/5.0 ({}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{} Safari/605.1.15"
_WINDOWS = "Windows NT 10.0; Win64; x64"
_MAC = "Macintosh; Intel Mac OS X 10_15_7"


def _device(
    browser: tuple[str, float],
    system: tuple[str, str],
    kind: str,
    screen: tuple[int, int],
    client: tuple[str, str],
) -> str:
    return fragment(
        {
            "$browser": browser[0],
            "$browser_version": browser[1],
            "$browser_language": client[1],
            "$os": system[0],
            "$os_version": system[1],
            "$device_type": kind,
            "$screen_height": screen[1],
            "$screen_width": screen[0],
            "$viewport_height": screen[1] - 131,
            "$viewport_width": screen[0],
            "$raw_user_agent": client[0],
        }
    )


DEVICES: tuple[str, ...] = (
    _device(("Chrome", 129), ("Windows", "10.0"), "Desktop", (1920, 1080), (_CHROME.format(_WINDOWS, 129), "en-US")),
    _device(("Chrome", 130), ("Windows", "11.0"), "Desktop", (2560, 1440), (_CHROME.format(_WINDOWS, 130), "de-DE")),
    _device(("Chrome", 128), ("Mac OS X", "10.15.7"), "Desktop", (1512, 982), (_CHROME.format(_MAC, 128), "en-GB")),
    _device(
        ("Safari", 17.6), ("Mac OS X", "10.15.7"), "Desktop", (1728, 1117), (_SAFARI.format(_MAC, "17.6"), "fr-FR")
    ),
    _device(
        ("Mobile Safari", 18.1),
        ("iOS", "18.1.0"),
        "Mobile",
        (393, 852),
        (_SAFARI.format("iPhone; CPU iPhone OS 18_1 like Mac OS X", "18.1 Mobile/15E148"), "en-US"),
    ),
    _device(
        ("Chrome", 130),
        ("Android", "14"),
        "Mobile",
        (412, 915),
        (_CHROME.format("Linux; Android 14; Pixel 8", 130), "pt-BR"),
    ),
    _device(
        ("Samsung Internet", 26),
        ("Android", "13"),
        "Mobile",
        (360, 780),
        (_CHROME.format("Linux; Android 13; SAMSUNG SM-A546B", 122), "ja-JP"),
    ),
    _device(
        ("Firefox", 131),
        ("Linux", ""),
        "Desktop",
        (1366, 768),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0", "he-IL"),
    ),
    _device(
        ("Microsoft Edge", 129), ("Windows", "10.0"), "Desktop", (1536, 864), (_CHROME.format(_WINDOWS, 129), "ar-EG")
    ),
    _device(
        ("Mobile Safari", 17.4),
        ("iOS", "17.4.1"),
        "Tablet",
        (820, 1180),
        (_SAFARI.format("iPad; CPU OS 17_4_1 like Mac OS X", "17.4.1 Mobile/15E148"), "zh-CN"),
    ),
)

LIBRARIES: tuple[str, ...] = tuple(
    fragment({"$lib": name, "$lib_version": version})
    for name, version in (
        ("web", "1.176.0"),
        ("web", "1.174.2"),
        ("web", "1.57.2"),
        ("posthog-ios", "3.13.1"),
        ("posthog-android", "3.8.2"),
        ("posthog-python", "3.7.0"),
    )
)


def _place(city: tuple[str, str], country: tuple[str, str], continent: str, at: tuple[float, float], zone: str) -> str:
    return fragment(
        {
            "$geoip_city_name": city[0],
            "$geoip_subdivision_1_name": city[1],
            "$geoip_country_name": country[0],
            "$geoip_country_code": country[1],
            "$geoip_continent_name": continent,
            "$geoip_latitude": at[0],
            "$geoip_longitude": at[1],
            "$geoip_time_zone": zone,
            "$timezone": zone,
        }
    )


PLACES: tuple[str, ...] = (
    _place(("New York", "New York"), ("United States", "US"), "North America", (40.7128, -74.006), "America/New_York"),
    _place(("München", "Bayern"), ("Germany", "DE"), "Europe", (48.1374, 11.5755), "Europe/Berlin"),
    _place(("São Paulo", "São Paulo"), ("Brazil", "BR"), "South America", (-23.5475, -46.6361), "America/Sao_Paulo"),
    _place(("東京", "東京都"), ("Japan", "JP"), "Asia", (35.6895, 139.6917), "Asia/Tokyo"),
    _place(("London", "England"), ("United Kingdom", "GB"), "Europe", (51.5085, -0.1257), "Europe/London"),
    _place(("القاهرة", "Cairo Governorate"), ("Egypt", "EG"), "Africa", (30.0626, 31.2497), "Africa/Cairo"),
    _place(("תל אביב", "Tel Aviv"), ("Israel", "IL"), "Asia", (32.0809, 34.7806), "Asia/Jerusalem"),
    _place(("Bengaluru", "Karnataka"), ("India", "IN"), "Asia", (12.9719, 77.5937), "Asia/Kolkata"),
    _place(("Sydney", "New South Wales"), ("Australia", "AU"), "Oceania", (-33.8678, 151.2073), "Australia/Sydney"),
    _place(("Val-d'Or", "Quebec"), ("Canada", "CA"), "North America", (48.0974, -77.7974), "America/Toronto"),
    _place(("Київ", "Kyiv City"), ("Ukraine", "UA"), "Europe", (50.4547, 30.5238), "Europe/Kyiv"),
    _place(("Null Island", ""), ("", ""), "", (0.0, 0.0), "UTC"),
)

_DIRECT = {"$referrer": "$direct", "$referring_domain": "$direct"}

REFERRERS: tuple[str, ...] = (
    fragment(_DIRECT),
    fragment(_DIRECT),
    fragment({"$referrer": "https://www.google.com/", "$referring_domain": "www.google.com"}),
    fragment(
        {
            "$referrer": "https://www.google.com/",
            "$referring_domain": "www.google.com",
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": "Brand » Spring/Summer 50% off",
            "utm_term": "file storage",
            "gclid": "Cj0KCQjw05i4BhDiARIsAB_2wfB7",
        }
    ),
    fragment(
        {
            "$referrer": "https://news.ycombinator.com/item?id=41",
            "$referring_domain": "news.ycombinator.com",
            "utm_source": None,
        }
    ),
    fragment(
        {
            "$referrer": "https://mail.example.com/",
            "$referring_domain": "mail.example.com",
            "utm_source": "newsletter",
            "utm_medium": "email",
            "utm_campaign": "2026-10 “hedgehog” news",
            "utm_content": "a=1&b=2",
        }
    ),
)

FLAGS: tuple[str, ...] = tuple(
    fragment({"$active_feature_flags": list(flags), **{f"$feature/{name}": value for name, value in flags.items()}})
    for flags in (
        {"new-checkout": True, "price-test": "variant-b", "dark_mode": True},
        {"new-checkout": True, "price-test": "control"},
        {"price-test": "control", "beta: uploads v2": "on", "dark_mode": True},
        {"dark_mode": True},
        {},
    )
)

# (host, path with an optional place for a number, title)
PAGES: tuple[tuple[str, str, str], ...] = (
    ("hedgebox.net", "/", "Hedgebox"),
    ("hedgebox.net", "/pricing/", "Pricing | Hedgebox"),
    ("hedgebox.net", "/signup/", "Sign up"),
    ("hedgebox.net", "/login/", "Log in"),
    ("hedgebox.net", "/blog/how-we-store-10%25-more/", "How we store 10% more"),
    ("hedgebox.net", "/ja/料金/", "料金"),
    ("app.hedgebox.net", "/files/", "Files"),
    ("app.hedgebox.net", "/files/{}/", "File"),
    ("app.hedgebox.net", "/files/{}/?tab=share&sort=-modified", "Share a file"),
    ("app.hedgebox.net", "/account/settings/", "Settings"),
    ("app.hedgebox.net", "/account/billing/", "Billing"),
    ("app.hedgebox.net", '/search/?q=caf%C3%A9+"menu"', "Search"),
    ("app.hedgebox.net", "/team/{}/#members", "Team"),
    ("localhost:3000", "/files/{}/", "Files (dev)"),
)

# (name, weight out of 10,000 of the events that are not the first of their session)
EVENTS: tuple[tuple[str, int], ...] = (
    ("$pageview", 2680),
    ("$autocapture", 2800),
    ("$pageleave", 1150),
    ("$set", 330),
    ("$identify", 290),
    ("$feature_flag_called", 780),
    ("$web_vitals", 560),
    ("$rageclick", 60),
    ("$exception", 110),
    ("$groupidentify", 45),
    ("$screen", 160),
    ("uploaded_file", 370),
    ("downloaded_file", 240),
    ("shared_file_link", 110),
    ("purchase", 130),
    ("Order Completed", 60),
    ("order completed", 25),
    ("invited team member", 50),
    ("survey sent", 20),
    ("API: v1/files.list", 20),
    ("", 2),
    ("購入完了", 4),
    ('it\'s "odd" \\ name', 2),
    ("🦔 hedgehog fed", 2),
)

_IMAGE = {"name": 'Görlitz "final" (2).png', "size": 348160, "tags": ["image", "draft"]}

# Pieces that go with one event name only; a name without an entry has none.
EVENT_PIECES: dict[str, tuple[str, ...]] = {
    "$pageview": (
        fragment({"title": "Hedgebox", "navigation_type": "history_change"}),
        fragment({"title": "Files", "navigation_type": None}),
    ),
    "$autocapture": (
        fragment({"$event_type": "click", "$ce_version": 1, "$el_text": "Sign up"}),
        fragment({"$event_type": "click", "$ce_version": 1, "$el_text": 'Say "hi"\n& \\wave/ 👋'}),
        fragment({"$event_type": "change", "$ce_version": 1}),
        fragment({"$event_type": "submit", "$ce_version": 1, "$el_text": "保存する"}),
    ),
    "$pageleave": (
        fragment({"$prev_pageview_duration": 12.047, "$prev_pageview_max_scroll_percentage": 0.8734}),
        fragment({"$prev_pageview_duration": 0, "$prev_pageview_max_scroll_percentage": 1}),
    ),
    "$feature_flag_called": (
        fragment({"$feature_flag": "new-checkout", "$feature_flag_response": True}),
        fragment({"$feature_flag": "price-test", "$feature_flag_response": "variant-b"}),
        fragment({"$feature_flag": "dark_mode", "$feature_flag_response": None}),
    ),
    "$web_vitals": (
        fragment({"$web_vitals_LCP_value": 1834.5, "$web_vitals_CLS_value": 1e-7, "$web_vitals_INP_value": 48}),
        fragment({"$web_vitals_FCP_value": 720.2999999523163, "$web_vitals_CLS_value": 0}),
    ),
    "$exception": (
        fragment(
            {
                "$exception_type": "TypeError",
                "$exception_message": "Cannot read properties of undefined (reading 'x')\n\tat f (a.js:1:2)",
                "$exception_list": [
                    {"type": "TypeError", "mechanism": {"handled": False}, "stacktrace": {"frames": [{"lineno": 1}]}}
                ],
                "$exception_level": "error",
            }
        ),
    ),
    "$groupidentify": (
        fragment(
            {
                "$group_type": "company",
                "$group_key": "company-7",
                "$group_set": {"name": "Hogflix & Søn", "seats": 25, "mrr": 1999.5},
            }
        ),
    ),
    "$screen": (fragment({"$screen_name": "FileList", "$app_version": "4.2.0"}),),
    "uploaded_file": (
        fragment({"file": _IMAGE, "file_size_b": 348160, "used_mb": 0.332}),
        fragment({"file": {**_IMAGE, "tags": []}, "file_size_b": "348160", "used_mb": 1}),
        fragment({"file": None, "file_size_b": 9007199254740993, "used_mb": None}),
    ),
    "purchase": (
        '"value":19.90,"currency":"EUR","items":[{"sku":"HB-1","price":9.95,"qty":2}],"coupon":null',
        '"value":20,"currency":"USD","items":[],"coupon":"SPRING/50"',
        '"value":"1.299,00 €","currency":"EUR","items":[{"sku":"HB-9","price":1299,"qty":1,"gift":true},{"sku":"X"}]',
        '"value":1e-7,"currency":null,"items":null',
        '"value":true,"currency":"¥"',
    ),
    "Order Completed": (
        '"Order ID":"A-1001","order_id":1001,"total":129.00,"products":[{"id":1,"name":"Box \\u00b5"}]',
        '"Order ID":1002,"order_id":"1002","total":-5e+20,"products":{"id":2}',
    ),
    "survey sent": (
        fragment({"$survey_id": "018f-nps", "$survey_response": 9, "$survey_response_1": "Très bien, merci ! 🙏"}),
        fragment({"$survey_id": "018f-nps", "$survey_response": "9", "$survey_response_1": ["a", "b"]}),
    ),
}

# Pieces any event may carry: the same keys with other types, odd keys, deep values.
EXTRAS: tuple[str, ...] = (
    '"plan":"pro","seats":5,"is_trial":false,"quota":{"used":0.25,"limit":100,"unit":"GB"}',
    '"plan":"free","seats":1,"is_trial":true,"quota":null',
    '"plan":null,"seats":"5","is_trial":"false","quota":{"used":1,"limit":null}',
    '"plan":2,"seats":5.5,"is_trial":0,"quota":[1,2,3]',
    '"plan":"enterprise","seats":250,"is_trial":false,"quota":{"used":97.50,"limit":1e3,"by":[{"team":"ß"},{}]}',
    '"plan":"pro","seats":12,"renews_at":"2026-12-01","trial_ends":"2026-11-30T23:59:59.999Z"',
    '"plan":"pro","seats":7,"big":9223372036854775807,"bigger":18446744073709551615,"tiny":-9007199254740993',
    '"plan":"free","seats":null,"ratio":1e-7,"price":19.90,"neg_zero":-0.0,"avogadro":6.02214076e23',
    '"plan":"free","text":"line one\\nline two\\ttab","quote":"she said \\"no\\"","path":"C:\\\\temp\\\\new"',
    '"plan":"pro","emoji":"👩‍👩‍👧‍👦 🏳️‍🌈","cjk":"数据仓库","rtl":"مرحبا بالعالم","escaped":"\\u00e9\\ud83e\\udd94"',
    '"plan":"pro","My Key":1,"my key":2,"My_Key":"3","a.b":true,"a_b":false,"a":{"b":"nested"}',
    '"plan":"free","":"empty key","🦔":"emoji key","quo\\"te":"\'","back\\\\slash":1,"new\\nline":2,"`tick`":3',
    '"plan":"pro","html":"<a href=\\"/x?y=1&z=2\\">a</a>","sql":"\'; DROP TABLE events; --","url":"https://x.y/z"',
    '"plan":"pro","matrix":[[1,2],[3,[4,5]]],"mixed":[1,"two",null,true,{"three":3.0}],"empty":{},"none":[]',
    '"plan":"free","select":"keyword","distinctId":"camel","DistinctID":"Pascal","1st":"digit first","trailing ":" "',
    '"plan":"pro","seats":3,"experiments":[{"id":1,"arm":"A"},{"id":2,"arm":null}],"locale":"zh-Hant-TW"',
)

# What most events carry is plain; the odd ones above come about one event in three.
PLAIN_EXTRAS: int = 2

_NTH = 'nth-child="{}"nth-of-type="{}"'

# Elements from the clicked one up, as posthog/models/element/element.py writes a chain: tag and classes, a colon,
# then attributes in alphabetical order, quotes escaped, `;` between elements.
CHAIN_LEAVES: tuple[str, ...] = (
    'button.btn.btn-primary:attr__class="btn btn-primary"attr__type="submit"' + _NTH.format(1, 1) + 'text="Sign up"',
    'a.btn:attr__class="btn"attr__href="/pricing/"href="/pricing/"' + _NTH.format(2, 1) + 'text="Pricing"',
    'a:attr__href="/files/?q=a;b&c=\\"d\\""href="/files/?q=a;b&c=\\"d\\""'
    + _NTH.format(3, 3)
    + 'text="Say \\"hi\\"; then go"',
    'span.icon:attr__aria-label="Löschen"attr__class="icon"' + _NTH.format(1, 1) + 'text="🗑️"',
    'input:attr__id="email"attr__name="email"attr__type="email"attr_id="email"' + _NTH.format(4, 2),
    'li:attr__data-attr="row"' + _NTH.format(7, 7) + 'text="見積書.pdf"',
    'div.card.lg\\:flex:attr__class="card lg:flex"' + _NTH.format(2, 2) + 'text="C:\\\\temp"',
    'svg:attr__viewBox="0 0 24 24"' + _NTH.format(1, 1),
)

CHAIN_PARENTS: tuple[str, ...] = (
    'form:attr__action="/signup/"attr__method="post"nth-child="2"nth-of-type="1";'
    'div.container:attr__class="container"nth-child="1"nth-of-type="1";body:nth-child="2"nth-of-type="1"',
    'nav.top:attr__class="top"attr__id="nav"attr_id="nav"nth-child="1"nth-of-type="1";body:nth-child="2"nth-of-type="1"',
    'ul:nth-child="3"nth-of-type="2";main:attr__role="main"nth-child="2"nth-of-type="1";'
    'div:attr__id="__next"attr_id="__next"nth-child="1"nth-of-type="1";body.dark:attr__class="dark"nth-child="2"'
    'nth-of-type="1"',
    'body:nth-child="2"nth-of-type="1"',
)

FIRST_NAMES: tuple[str, ...] = (
    "Ada", "Björn", "Chloé", "Dmitri", "Esra", "Fatima", "Grace", "Hiro", "Inès", "João", "Kwame", "Łucja",
    "María José", "Noor", "Oisín", "Priya", "Quinn", "Renée", "Søren", "太郎", "Ümit", "Việt", "Zoë", "יעל",
)  # fmt: skip

LAST_NAMES: tuple[str, ...] = (
    "Lovelace", "O'Brien", "de la Cruz", "Nguyễn", "Smith-Jones", "Müller", "Иванов", "山田", "van der Berg",
    "Okafor", "الشريف", "Kowalska", "\"Bobby\" Tables", "Garcia", "Ng", "D'Souza",
)  # fmt: skip

PLANS: tuple[str, ...] = ("free", "free", "free", "pro", "pro", "enterprise")
