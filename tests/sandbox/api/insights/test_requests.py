"""How insights are asked for and answered: cache, background, refusals, and servers that do not know them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.insights.facts import WEEK, series

TRENDS = {"kind": "TrendsQuery", "series": [series("$pageview")], "dateRange": WEEK}


def post(http: httpx.Client, query: dict[str, Any], **body: Any) -> httpx.Response:
    return http.post("/api/projects/1/query/", json={"query": query, **body})


def test_an_answer_is_replayed_unless_forced(http: httpx.Client) -> None:
    query = {**TRENDS, "tags": {"productKey": "replayed"}}
    first = post(http, query).json()
    assert first["is_cached"] is False
    again = post(http, query).json()
    assert again["is_cached"] is True
    assert (again["last_refresh"], again["results"]) == (first["last_refresh"], first["results"])
    forced = post(http, query, refresh="force_blocking").json()
    assert forced["is_cached"] is False
    assert forced["last_refresh"] > first["last_refresh"]
    assert forced["results"] == first["results"]


def test_in_the_background(http: httpx.Client) -> None:
    accepted = post(http, TRENDS, refresh="force_async")
    assert accepted.status_code == 202
    query_id = accepted.json()["query_status"]["id"]
    while (answer := http.get(f"/api/projects/1/query/{query_id}/")).status_code == 202:
        pass
    assert answer.status_code == 200
    results = answer.json()["query_status"]["results"]["results"]
    assert results == post(http, TRENDS, refresh="force_blocking").json()["results"]


@pytest.mark.parametrize("wrapper", ["InsightVizNode", "DataTableNode"])
def test_a_wrapped_query_is_the_query(http: httpx.Client, wrapper: str) -> None:
    wrapped = {"kind": wrapper, "source": TRENDS, "full": True}
    assert post(http, wrapped).json()["results"] == post(http, TRENDS).json()["results"]


def test_a_wrapped_hogql_query(http: httpx.Client) -> None:
    query = {"kind": "DataVisualizationNode", "source": {"kind": "HogQLQuery", "query": "select 1"}}
    assert post(http, query).json()["results"] == [[1]]


def test_the_request_log_and_the_bill_know_of_it(box: Sandbox, http: httpx.Client) -> None:
    answer = post(http, TRENDS, refresh="force_blocking")
    assert int(answer.headers["x-posthog-query-bytes-read"]) > 0
    assert box.requests()[-1]["kind"] == "TrendsQuery"


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({**TRENDS, "serie": []}, "parse_error", "TrendsQuery.serie"),
        ({"kind": "TrendsQuery"}, "parse_error", "TrendsQuery.series"),
        ({**TRENDS, "samplingFactor": 0.1}, "parse_error", "samplingFactor"),
        ({**TRENDS, "aggregation_group_type_index": 0}, "parse_error", "aggregation_group_type_index"),
        ({**TRENDS, "interval": "minute"}, "invalid_input", "minute"),
        ({**TRENDS, "trendsFilter": {"smoothingIntervals": 7}}, "invalid_input", "smooth"),
        ({**TRENDS, "breakdownFilter": {"breakdown": [3], "breakdown_type": "cohort"}}, "invalid_input", "cohort"),
        ({**TRENDS, "properties": [{"key": "id", "value": 1, "type": "cohort"}]}, "invalid_input", "cohort"),
        ({**TRENDS, "properties": [{"key": "a", "value": 1, "operator": "min"}]}, "invalid_input", "'min'"),
        ({"kind": "PathsQuery", "pathsFilter": {"pathGroupings": ["a*"]}}, "invalid_input", "pathGroupings"),
        ({"kind": "RetentionQuery", "retentionFilter": {"cumulative": True}}, "invalid_input", "cumulative"),
        ({**TRENDS, "series": [{"kind": "ActionsNode", "id": 1}]}, "invalid_input", "EventsNode"),
        ({**TRENDS, "dateRange": {"date_from": "soon"}}, "invalid_input", "soon"),
        ({**TRENDS, "series": [series("a", math="hogql", math_hogql="count(")]}, "hogql_syntax_error", "count"),
        ({**TRENDS, "series": [series("a", math="hogql", math_hogql="nonsense(1)")]}, "hogql_query_error", "nonsense"),
        ({**TRENDS, "trendsFilter": {"formula": "A + C"}}, "invalid_input", "A + C"),
        ({"kind": "FunnelsQuery", "series": [series("a")]}, "invalid_input", "at least 2"),
        ({"kind": "FunnelCorrelationQuery", "source": TRENDS}, "invalid_input", "FunnelsQuery"),
        ({"kind": "ActorsQuery", "select": ["secrets"]}, "hogql_query_error", "secrets"),
        ({"kind": "WebOverviewQuery"}, "invalid_input", "WebOverviewQuery"),
        ({"kind": "NoSuchQuery"}, "parse_error", "NoSuchQuery"),
    ],
)
def test_refusals(http: httpx.Client, query: dict[str, Any], code: str, words: str) -> None:
    answer = post(http, query)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert words in answer.json()["detail"]


def test_a_server_of_2023_knows_no_such_queries(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(insight_queries=False)
    assert post(http, TRENDS).status_code == 400
    assert post(http, {"kind": "InsightVizNode", "source": TRENDS}).status_code == 400
