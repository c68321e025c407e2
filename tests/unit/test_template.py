"""What the template must say although the local emulator runs without it, or accepts it and does nothing."""

import json
import re
from typing import Any

import pytest
from conftest import ROOT
from mypy_boto3_dynamodb import DynamoDBClient

from directory import add_claims
from sessions import publish_events, store
from sessions.client import CALL_MILLISECONDS

type Resource = dict[str, Any]


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> dict[str, Resource]:
    return dict(template["Resources"])


def of_type(resources: dict[str, Resource], kind: str) -> dict[str, Any]:
    """The properties of all resources of a type."""
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}


def statements(resources: dict[str, Resource], role: str) -> list[tuple[str | list[str], Any]]:
    """Actions and resource of each statement of a role."""
    return [
        (statement["Action"], statement["Resource"])
        for policy in resources[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def test_a_role_may_do_exactly_what_its_function_does(resources: dict[str, Resource]) -> None:
    logs = ["logs:CreateLogStream", "logs:PutLogEvents"]
    tracing = (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*")
    sessions, directory = {"Fn::GetAtt": "SessionsTable.Arn"}, {"Fn::GetAtt": "DirectoryTable.Arn"}
    allowed: dict[str, list[tuple[Any, Any]]] = {
        "CreateSessionRole": [("dynamodb:PutItem", sessions), ("dynamodb:BatchGetItem", [directory, sessions])],
        "GetSessionRole": [("dynamodb:GetItem", sessions)],
        "ImportDirectoryRole": [
            (
                ["dynamodb:" + each for each in ("BatchGetItem", "BatchWriteItem", "DeleteItem", "PutItem", "Query")],
                directory,
            )
        ],
        "AddClaimsRole": [("dynamodb:GetItem", directory)],
        "PublishEventsRole": [
            (
                ["dynamodb:" + each for each in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")],
                {"Fn::GetAtt": "SessionsTable.StreamArn"},
            ),
            ("events:PutEvents", {"Fn::GetAtt": "EventBus.Arn"}),
            ("sqs:SendMessage", {"Fn::GetAtt": "PublishDeadLetters.Arn"}),
        ],
    }
    assert set(allowed) == set(of_type(resources, "AWS::IAM::Role"))
    for role, on_data in allowed.items():
        log_group = {"Fn::GetAtt": role.replace("Role", "LogGroup.Arn")}
        assert statements(resources, role) == [*on_data, (logs, log_group), tracing]
    for properties in of_type(resources, "AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in properties
        assert len(properties["Policies"]) == 1
        (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
        assert trust == {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }


def test_every_function_has_a_role_and_a_log_group_of_its_own(resources: dict[str, Resource]) -> None:
    functions = of_type(resources, "AWS::Serverless::Function")
    for name, function in functions.items():
        base = name.removesuffix("Function")
        assert function["Role"] == {"Fn::GetAtt": f"{base}Role.Arn"}
        assert function["LoggingConfig"] == {"LogGroup": {"Ref": f"{base}LogGroup"}}
        assert "Policies" not in function
    for log_group in of_type(resources, "AWS::Logs::LogGroup").values():
        assert log_group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_every_function_is_built_for_the_architecture_of_the_layer(template: dict[str, Any]) -> None:
    function = template["Globals"]["Function"]
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == [{"Ref": "Architecture"}]
    assert template["Parameters"]["Architecture"]["Default"] == "arm64"
    assert function["AutoPublishAlias"] == "live"
    for properties in of_type(template["Resources"], "AWS::Serverless::Function").values():
        assert properties["AutoPublishAliasAllProperties"] is True
    assert template["Resources"]["DependenciesLayer"]["Properties"]["PublishLambdaVersion"] is True


def test_the_api_comes_before_every_function(resources: dict[str, Resource]) -> None:
    types = [resource["Type"] for resource in resources.values()]
    assert types.index("AWS::ApiGatewayV2::Api") < types.index("AWS::Serverless::Function")


def test_every_route_demands_a_token(resources: dict[str, Resource]) -> None:
    routes = of_type(resources, "AWS::ApiGatewayV2::Route")
    assert routes
    for route in routes.values():
        assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", {"Ref": "ApiAuthorizer"})


def test_every_route_may_call_its_function_on_the_alias_and_nothing_else_may(resources: dict[str, Resource]) -> None:
    permissions = {
        (each["FunctionName"]["Ref"], each["SourceArn"]["Fn::Sub"].partition("${Api}")[2])
        for each in of_type(resources, "AWS::Lambda::Permission").values()
        if each["Principal"] == "apigateway.amazonaws.com"
    }
    needed = set()
    for route in of_type(resources, "AWS::ApiGatewayV2::Route").values():
        integration = route["Target"]["Fn::Sub"].removeprefix("integrations/${").removesuffix("}")
        uri = resources[integration]["Properties"]["IntegrationUri"]["Fn::Join"]
        function, _, attribute = uri[1][0]["Fn::GetAtt"].partition(".")
        assert (uri[0], attribute, uri[1][1]) == (":", "Arn", "live")
        needed.add((f"{function}.Alias", "/*/" + route["RouteKey"].partition(" ")[0] + "/*"))
    assert permissions == needed


def test_the_routes_are_those_that_clients_call(resources: dict[str, Resource]) -> None:
    routes = [route["RouteKey"] for route in of_type(resources, "AWS::ApiGatewayV2::Route").values()]
    assert routes == [
        "POST /sessions",
        "POST /sessions.json",
        "POST /api/NewSession",
        "POST /api/NewSession.json",
        "POST /json/reply/NewSession",
        "GET /sessions/{sessionId}",
    ]


def test_web_pages_of_named_origins_may_send_credentials(template: dict[str, Any]) -> None:
    condition, cors, otherwise = template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["Fn::If"]
    assert (condition, otherwise) == ("HasCors", {"Ref": "AWS::NoValue"})
    assert cors["AllowOrigins"] == {"Ref": "CorsOrigins"}
    assert cors["AllowCredentials"] is True
    assert {"authorization", "content-type", "idempotency-key"} <= set(cors["AllowHeaders"])
    methods = {
        route["RouteKey"].partition(" ")[0]
        for route in of_type(template["Resources"], "AWS::ApiGatewayV2::Route").values()
    }
    assert set(cors["AllowMethods"]) == methods
    assert set(cors["ExposeHeaders"]) == {"idempotent-replayed", "retry-after"}
    assert "*" not in str(cors)
    pattern = template["Parameters"]["CorsOrigins"]["AllowedPattern"]
    for origin in ("", "https://app.example.com", "http://localhost:5173"):
        assert re.match(pattern, origin)
    for origin in ("*", "https://*.example.com", "app.example.com", "https://app.example.com/"):
        assert not re.match(pattern, origin)


def test_cognito_may_call_its_trigger_for_this_pool_only(resources: dict[str, Resource]) -> None:
    permission = resources["AddClaimsPermission"]["Properties"]
    assert permission["FunctionName"] == {"Ref": "AddClaimsFunction.Alias"}
    assert permission["Principal"] == "cognito-idp.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": "UserPool.Arn"}


def test_every_permission_names_what_it_is_for(resources: dict[str, Resource]) -> None:
    for permission in of_type(resources, "AWS::Lambda::Permission").values():
        assert permission["SourceArn"]
        assert permission["FunctionName"]["Ref"].endswith(".Alias")


def test_identity_cannot_be_forged(resources: dict[str, Resource]) -> None:
    pool = resources["UserPool"]["Properties"]
    assert pool["UserPoolTier"] == "ESSENTIALS"
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert pool["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}
    assert pool["AutoVerifiedAttributes"] == ["email"]
    assert "Schema" not in pool  # no custom: attributes
    assert pool["LambdaConfig"] == {
        "PreTokenGenerationConfig": {"LambdaArn": {"Ref": "AddClaimsFunction.Alias"}, "LambdaVersion": "V2_0"}
    }
    client = resources["UserPoolClient"]["Properties"]
    assert client["WriteAttributes"] == ["name"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert "ALLOW_USER_PASSWORD_AUTH" not in client["ExplicitAuthFlows"]
    assert "custom:" not in str(resources)


def test_with_an_issuer_of_ones_own_there_is_no_pool(resources: dict[str, Resource]) -> None:
    for name, resource in resources.items():
        if resource["Type"].startswith("AWS::Cognito::") or name.startswith("AddClaims"):
            assert resource["Condition"] == "HasBundledPool"
    assert resources["ApiAuthorizer"]["Properties"]["JwtConfiguration"] == {
        "Issuer": {
            "Fn::If": [
                "HasBundledPool",
                {"Fn::Sub": "https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}/${UserPool}"},
                {"Ref": "JwtIssuer"},
            ]
        },
        "Audience": {
            "Fn::If": ["HasBundledPool", [{"Ref": "UserPoolClient"}], {"Fn::Split": [",", {"Ref": "JwtAudience"}]}]
        },
    }


def test_data_outlives_the_stack_and_is_protected_in_prod(resources: dict[str, Resource]) -> None:
    tables = {name for name, each in resources.items() if each["Type"] == "AWS::DynamoDB::Table"}
    assert tables == {"SessionsTable", "DirectoryTable"}
    for name in tables | {"UserPool"}:
        assert resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"
    for name in tables:
        table = resources[name]["Properties"]
        assert "TableName" not in table
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["SSESpecification"] == {"SSEEnabled": True}
        assert table["DeletionProtectionEnabled"] == {"Fn::If": ["IsProd", True, False]}
    assert resources["UserPool"]["Properties"]["DeletionProtection"] == {"Fn::If": ["IsProd", "ACTIVE", "INACTIVE"]}


def test_what_holds_data_is_defined_by_what_would_replace_it_as_it_always_was(resources: dict[str, Resource]) -> None:
    """A change of one of these properties, or of a logical id, replaces the resource by an empty one or is refused.

    They are the create-only properties of the resources' CloudFormation schemas, and what Cognito never updates. Where
    there is a name, a replacement would need another one.
    """
    table = {"TableName": None, "LocalSecondaryIndexes": None, "ImportSourceSpecification": None}
    queue = {"QueueName": None, "FifoQueue": None}
    pinned: dict[str, dict[str, Any]] = {
        "SessionsTable": table | {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]},
        "DirectoryTable": table
        | {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]},
        "UserPool": {
            "UsernameAttributes": ["email"],
            "UsernameConfiguration": {"CaseSensitive": False},
            "AliasAttributes": None,
            "Schema": None,
        },
        "UserPoolClient": {"UserPoolId": {"Ref": "UserPool"}, "GenerateSecret": False},
        "PublishDeadLetters": queue,
        "FlowStartQueue": queue,
        "FlowStartDeadLetters": queue,
        "EventBus": {"Name": {"Ref": "AWS::StackName"}},
        "Api": {"ProtocolType": "HTTP"},
    }
    for name, expected in pinned.items():
        properties = resources[name]["Properties"]
        assert {key: properties.get(key) for key in expected} == expected, name
    for name in ("SessionsTable", "DirectoryTable"):
        properties = resources[name]["Properties"]
        types = {each["AttributeName"]: each["AttributeType"] for each in properties["AttributeDefinitions"]}
        assert {types[key["AttributeName"]] for key in properties["KeySchema"]} == {"S"}


def test_the_stack_policy_protects_all_that_outlives_the_stack(resources: dict[str, Resource]) -> None:
    allow, deny = json.loads((ROOT / "docs/stack-policy.json").read_text())["Statement"]
    assert (allow["Effect"], allow["Action"], allow["Resource"]) == ("Allow", "Update:*", "*")
    assert (deny["Effect"], deny["Action"]) == ("Deny", ["Update:Replace", "Update:Delete"])
    retained = [
        f"LogicalResourceId/{name}" for name, each in resources.items() if each.get("UpdateReplacePolicy") == "Retain"
    ]
    assert sorted(deny["Resource"]) == sorted(retained)


def test_every_parameter_is_described_and_bounded(template: dict[str, Any]) -> None:
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"], name
        bounds = {"AllowedValues", "AllowedPattern", "MaxValue"}
        assert bounds & set(parameter) or parameter["Type"] == "CommaDelimitedList", name


def test_the_gateway_limits_the_requests_of_every_route(template: dict[str, Any]) -> None:
    stage = template["Resources"]["ApiStage"]["Properties"]
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ThrottlingRate"},
        "ThrottlingBurstLimit": {"Ref": "ThrottlingBurst"},
    }
    assert "RouteSettings" not in stage  # which would take precedence
    for name, quota in (("ThrottlingRate", 10_000), ("ThrottlingBurst", 5_000)):
        parameter = template["Parameters"][name]
        assert (parameter["MinValue"], parameter["MaxValue"]) == (1, quota)
        assert parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"]


@pytest.mark.parametrize("value", ["", "https://issuer.example.com", "https://issuer.example.com/tenant/v2.0"])
def test_an_issuer_is_an_https_url_or_empty(template: dict[str, Any], value: str) -> None:
    pattern = template["Parameters"]["JwtIssuer"]["AllowedPattern"]
    assert re.match(pattern, value)
    assert not re.match(pattern, value.replace("https", "http") or "x")


def longest_call(client: DynamoDBClient) -> float:
    """Milliseconds after which a call that gets no answer has failed: attempts, and botocore's back-off in between."""
    config = client.meta.config
    attempts = config.retries["total_max_attempts"]  # type: ignore[attr-defined]
    waits = 2 * config.connect_timeout + config.read_timeout  # type: ignore[attr-defined]
    return float(1000 * (attempts * waits + sum(2**attempt for attempt in range(attempts - 1))))


def test_every_attempt_ends_before_the_function_and_the_function_before_the_gateway(
    resources: dict[str, Resource],
) -> None:
    assert longest_call(store.client) <= CALL_MILLISECONDS
    calls_of = {"CreateSession": 2, "GetSession": 1}
    assert {f"{name}Integration" for name in calls_of} == set(of_type(resources, "AWS::ApiGatewayV2::Integration"))
    for name, calls in calls_of.items():
        function = resources[f"{name}Function"]["Properties"]["Timeout"] * 1000
        integration = resources[f"{name}Integration"]["Properties"]["TimeoutInMillis"]
        assert calls * CALL_MILLISECONDS + 1000 < function < integration <= 30_000
    assert (
        longest_call(add_claims.client) + 1000 < resources["AddClaimsFunction"]["Properties"]["Timeout"] * 1000 <= 5000
    )


def test_new_sessions_are_published_until_the_bus_takes_them(resources: dict[str, Resource]) -> None:
    assert resources["SessionsTable"]["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    (mapping,) = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": "SessionsTable.StreamArn"}
    assert mapping["FunctionName"] == {"Ref": "PublishEventsFunction.Alias"}
    assert mapping["FilterCriteria"] == {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]}
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == -1
    assert mapping["MaximumRecordAgeInSeconds"] == 22 * 3600
    assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": "PublishDeadLetters.Arn"}}}
    assert mapping["MaximumBatchingWindowInSeconds"] == 0


def test_nobody_but_publish_events_talks_to_the_bus(resources: dict[str, Resource]) -> None:
    for name in of_type(resources, "AWS::IAM::Role"):
        speaks = any("events:" in str(action) or "sqs:" in str(action) for action, _ in statements(resources, name))
        assert speaks is (name == "PublishEventsRole")


def test_the_sessions_whose_flow_is_to_start_are_queued(resources: dict[str, Resource]) -> None:
    (rule,) = of_type(resources, "AWS::Events::Rule").values()
    assert rule["EventBusName"] == {"Ref": "EventBus"}
    assert rule["EventPattern"] == {
        "source": [publish_events.SOURCE],
        "detail-type": [publish_events.DETAIL_TYPE],
        "detail": {"startSession": [True]},
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": "FlowStartQueue.Arn"}
    assert target["InputPath"] == "$.detail"
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": "FlowStartDeadLetters.Arn"}}


def test_queues_are_encrypted_and_keep_messages_as_long_as_sqs_can(resources: dict[str, Resource]) -> None:
    queues = of_type(resources, "AWS::SQS::Queue")
    assert set(queues) == {"PublishDeadLetters", "FlowStartQueue", "FlowStartDeadLetters"}
    for name, queue in queues.items():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert "QueueName" not in queue
        assert resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"
    assert queues["FlowStartQueue"]["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": "FlowStartDeadLetters.Arn"},
        "maxReceiveCount": 5,
    }


def test_eventbridge_may_send_to_the_flow_starts_queues_for_their_rule_only(resources: dict[str, Resource]) -> None:
    policies = of_type(resources, "AWS::SQS::QueuePolicy").values()
    assert [policy["Queues"] for policy in policies] == [[{"Ref": "FlowStartQueue"}], [{"Ref": "FlowStartDeadLetters"}]]
    for policy in policies:
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": f"{policy['Queues'][0]['Ref']}.Arn"},
            "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": "FlowStartRule.Arn"}}},
        }
