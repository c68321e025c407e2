"""The parts of template.yaml that protect data, identity and money. The local emulator checks none of them."""

import json
import re
from typing import Any

import pytest
from conftest import ROOT

from aws.client import CALL_SECONDS, ROUNDS_SECONDS

type Resource = dict[str, Any]


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> dict[str, Resource]:
    return dict(template["Resources"])


def of_type(resources: dict[str, Resource], kind: str) -> dict[str, Any]:
    """Return the properties of the resources of a type, by logical id."""
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}


# ------------------------------------------------------------------------------------------------------ least privilege

GRANTS: dict[str, list[tuple[str, str]]] = {
    "Sessions": [
        ("dynamodb:PutItem", "SessionsTable.Arn"),
        ("dynamodb:GetItem", "SessionsTable.Arn"),
        ("dynamodb:UpdateItem", "SessionsTable.Arn"),
        ("dynamodb:BatchGetItem", "SessionsTable.Arn"),
        ("dynamodb:BatchGetItem", "DirectoryTable.Arn"),
    ],
    "PublishEvents": [
        *(
            (f"dynamodb:{each}", "SessionsTable.StreamArn")
            for each in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
        ),
        ("events:PutEvents", "EventBus.Arn"),
        ("sqs:SendMessage", "PublishDeadLetters.Arn"),
    ],
    "ImportDirectory": [
        (f"dynamodb:{each}", "DirectoryTable.Arn")
        for each in ("BatchGetItem", "BatchWriteItem", "DeleteItem", "PutItem", "Query")
    ],
    "AddClaims": [("dynamodb:GetItem", "DirectoryTable.Arn")],
}


@pytest.mark.parametrize("base", GRANTS)
def test_a_function_may_do_only_what_it_needs(resources: dict[str, Resource], base: str) -> None:
    function, role = (resources[base + kind]["Properties"] for kind in ("Function", "Role"))
    assert function["Role"] == {"Fn::GetAtt": f"{base}Role.Arn"}
    assert function["LoggingConfig"] == {"LogGroup": {"Ref": f"{base}LogGroup"}}
    assert "Policies" not in function
    assert "ManagedPolicyArns" not in role
    granted = []
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            resource = statement["Resource"] if statement["Resource"] == "*" else statement["Resource"]["Fn::GetAtt"]
            granted += [(action, resource) for action in actions]
    assert granted == [
        *GRANTS[base],
        *((f"logs:{each}", f"{base}LogGroup.Arn") for each in ("CreateLogStream", "PutLogEvents")),
        *((f"xray:{each}", "*") for each in ("PutTelemetryRecords", "PutTraceSegments")),
    ]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_every_function_has_its_own_role(resources: dict[str, Resource]) -> None:
    assert set(of_type(resources, "AWS::Serverless::Function")) == {f"{base}Function" for base in GRANTS}
    assert set(of_type(resources, "AWS::IAM::Role")) == {f"{base}Role" for base in GRANTS}


def test_only_this_api_and_this_user_pool_may_call_a_function(resources: dict[str, Resource]) -> None:
    api = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*/*"
    permissions = {
        each["FunctionName"]["Ref"]: (each["Principal"], each["SourceArn"])
        for each in of_type(resources, "AWS::Lambda::Permission").values()
    }
    assert permissions == {
        "SessionsFunction.Alias": ("apigateway.amazonaws.com", {"Fn::Sub": api}),
        "AddClaimsFunction.Alias": ("cognito-idp.amazonaws.com", {"Fn::GetAtt": "UserPool.Arn"}),
    }
    # The permission is for the alias, so the API must call the alias.
    (integration,) = of_type(resources, "AWS::ApiGatewayV2::Integration").values()
    assert integration["IntegrationUri"] == {"Fn::Join": [":", [{"Fn::GetAtt": "SessionsFunction.Arn"}, "live"]]}


def test_only_the_rules_of_the_flow_engine_may_send_to_its_queues(resources: dict[str, Resource]) -> None:
    policies = of_type(resources, "AWS::SQS::QueuePolicy").values()
    assert [policy["Queues"] for policy in policies] == [[{"Ref": "FlowStartQueue"}], [{"Ref": "FlowStartDeadLetters"}]]
    for policy in policies:
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": f"{policy['Queues'][0]['Ref']}.Arn"},
            "Condition": {
                "ArnEquals": {"aws:SourceArn": [{"Fn::GetAtt": "FlowStartRule.Arn"}, {"Fn::GetAtt": "FlowEndRule.Arn"}]}
            },
        }


# ------------------------------------------------------------------------------------------------------------- identity


def test_every_route_requires_a_token(resources: dict[str, Resource]) -> None:
    routes = of_type(resources, "AWS::ApiGatewayV2::Route")
    assert routes
    for route in routes.values():
        assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", {"Ref": "ApiAuthorizer"})


def test_users_cannot_change_who_they_are(resources: dict[str, Resource]) -> None:
    pool = resources["UserPool"]["Properties"]
    assert pool["UserPoolTier"] == "ESSENTIALS"
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert pool["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}
    assert pool["AutoVerifiedAttributes"] == ["email"]
    trigger = {"LambdaArn": {"Ref": "AddClaimsFunction.Alias"}, "LambdaVersion": "V2_0"}
    assert pool["LambdaConfig"] == {"PreTokenGenerationConfig": trigger}
    client = resources["UserPoolClient"]["Properties"]
    assert client["WriteAttributes"] == ["name"]
    # Cognito rejects a client that may not write an attribute that the pool requires.
    assert {each["Name"] for each in pool.get("Schema", []) if each.get("Required")} <= {"name"}
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert "ALLOW_USER_PASSWORD_AUTH" not in client["ExplicitAuthFlows"]


def test_a_stack_with_its_own_issuer_has_no_user_pool(resources: dict[str, Resource]) -> None:
    for name, resource in resources.items():
        if resource["Type"].startswith("AWS::Cognito::") or name.startswith("AddClaims"):
            assert resource["Condition"] == "HasBundledPool"
    pool = {"Fn::Sub": "https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}/${UserPool}"}
    audience = {"Fn::Split": [",", {"Ref": "JwtAudience"}]}
    assert resources["ApiAuthorizer"]["Properties"]["JwtConfiguration"] == {
        "Issuer": {"Fn::If": ["HasBundledPool", pool, {"Ref": "JwtIssuer"}]},
        "Audience": {"Fn::If": ["HasBundledPool", [{"Ref": "UserPoolClient"}], audience]},
    }


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        ("JwtIssuer", ["", "https://issuer.example.com/tenant/v2.0"], ["http://issuer.example.com", "issuer"]),
        (
            "CorsOrigins",
            ["", "https://app.example.com", "http://localhost:5173", "capacitor://localhost", "ionic://localhost"],
            ["*", "null", "file://x", "https://*.example.com", "app.example.com", "https://app.example.com/"],
        ),
    ],
)
def test_an_unsafe_issuer_or_origin_is_refused(
    template: dict[str, Any], parameter: str, accepted: list[str], refused: list[str]
) -> None:
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    assert all(re.match(pattern, value) for value in accepted)
    assert not any(re.match(pattern, value) for value in refused)


def test_web_pages_of_named_origins_may_send_credentials_and_tracing_headers(template: dict[str, Any]) -> None:
    condition, cors, otherwise = template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["Fn::If"]
    assert (condition, otherwise) == ("HasCors", {"Ref": "AWS::NoValue"})
    assert (cors["AllowOrigins"], cors["AllowCredentials"]) == ({"Ref": "CorsOrigins"}, True)
    assert cors["AllowHeaders"] == {"Ref": "CorsHeaders"}
    headers = set(template["Parameters"]["CorsHeaders"]["Default"].split(","))
    assert {"authorization", "content-type", "idempotency-key", "traceparent", "baggage", "sentry-trace"} <= headers
    assert set(cors["ExposeHeaders"]) == {"idempotent-replayed", "retry-after"}


# ----------------------------------------------------------------------------------------------------------------- data


def test_data_outlives_the_stack_and_prod_cannot_delete_it(resources: dict[str, Resource]) -> None:
    tables, queues = of_type(resources, "AWS::DynamoDB::Table"), of_type(resources, "AWS::SQS::Queue")
    for name in (*tables, *queues, "UserPool", "UserPoolClient", "UserGroup"):
        assert resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"
    for table in tables.values():
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert "SSESpecification" not in table  # the key that DynamoDB owns: encrypted, without calls of KMS
        assert table["DeletionProtectionEnabled"] == {"Fn::If": ["IsProd", True, False]}
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600  # the maximum of SQS
    assert resources["UserPool"]["Properties"]["DeletionProtection"] == {"Fn::If": ["IsProd", "ACTIVE", "INACTIVE"]}


def test_changing_a_table_key_requires_changing_this_test(resources: dict[str, Resource]) -> None:
    """A change of one of these properties, or of a logical id, replaces the resource by an empty one.

    They are the create-only properties of the CloudFormation schemas, and those that Cognito never updates. A resource
    with a fixed name cannot be replaced at all.
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
            "Schema": None,  # so there are no custom attributes either
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
        assert {each["AttributeType"] for each in properties.get("AttributeDefinitions", [])} <= {"S"}


def test_the_stack_policy_protects_everything_that_outlives_the_stack(resources: dict[str, Resource]) -> None:
    allow, deny = json.loads((ROOT / "docs/stack-policy.json").read_text())["Statement"]
    assert (allow["Effect"], allow["Action"], allow["Resource"]) == ("Allow", "Update:*", "*")
    assert (deny["Effect"], deny["Action"]) == ("Deny", ["Update:Replace", "Update:Delete"])
    retained = [name for name, each in resources.items() if each.get("UpdateReplacePolicy") == "Retain"]
    assert sorted(deny["Resource"]) == sorted(f"LogicalResourceId/{name}" for name in retained)


def test_every_new_session_and_every_end_is_published_or_kept_as_a_dead_letter(resources: dict[str, Resource]) -> None:
    assert resources["SessionsTable"]["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    (mapping,) = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    pinned: dict[str, Any] = {
        "EventSourceArn": {"Fn::GetAtt": "SessionsTable.StreamArn"},
        "FunctionName": {"Ref": "PublishEventsFunction.Alias"},
        "StartingPosition": "TRIM_HORIZON",
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": 22 * 3600,
        "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": "PublishDeadLetters.Arn"}}},
    }
    assert {name: mapping[name] for name in pinned} == pinned
    change = {"OldImage": {"ended": {"BOOL": [False]}}, "NewImage": {"ended": {"BOOL": [True]}}}
    replaced = {"OldImage": {"expiresAt": {"N": [{"exists": True}]}}}
    patterns = [json.loads(each["Pattern"]) for each in mapping["FilterCriteria"]["Filters"]]
    assert patterns == [
        {"eventName": ["INSERT"]},
        {"eventName": ["MODIFY"], "dynamodb": change},
        {"eventName": ["MODIFY"], "dynamodb": replaced},
    ]  # and nothing for REMOVE, the record of a deletion


def test_dynamodb_deletes_sessions_at_the_end_of_their_retention(resources: dict[str, Resource]) -> None:
    ttl = {"AttributeName": "expiresAt", "Enabled": True}
    assert resources["SessionsTable"]["Properties"]["TimeToLiveSpecification"] == ttl


def test_a_message_to_the_flow_engine_that_cannot_be_delivered_becomes_a_dead_letter(
    resources: dict[str, Resource],
) -> None:
    dead_letters = {"Fn::GetAtt": "FlowStartDeadLetters.Arn"}
    for rule in of_type(resources, "AWS::Events::Rule").values():
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": dead_letters}
    redrive = resources["FlowStartQueue"]["Properties"]["RedrivePolicy"]
    assert redrive == {"deadLetterTargetArn": dead_letters, "maxReceiveCount": 5}


def test_the_access_log_has_no_personal_data(resources: dict[str, Resource]) -> None:
    line = json.loads(resources["ApiStage"]["Properties"]["AccessLogSettings"]["Format"])
    assert {value.removeprefix("$context.") for value in line.values()} == {
        *("requestId", "requestTime", "routeKey", "status", "responseLatency", "responseLength"),
        *("integration.status", "integration.latency", "integration.error", "authorizer.error", "error.responseType"),
    }


# --------------------------------------------------------------------------------------------------- money and timeouts


def test_the_bill_has_a_limit(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    stage = resources["ApiStage"]["Properties"]
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ThrottlingRate"},
        "ThrottlingBurstLimit": {"Ref": "ThrottlingBurst"},
    }
    assert "RouteSettings" not in stage  # they would override the default
    for table in of_type(resources, "AWS::DynamoDB::Table").values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
    for log_group in of_type(resources, "AWS::Logs::LogGroup").values():
        assert log_group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_traces_cost_nothing_unless_an_operator_asks_for_them(template: dict[str, Any]) -> None:
    assert template["Parameters"]["Tracing"]["Default"] == "PassThrough"
    assert template["Globals"]["Function"]["Tracing"] == {"Ref": "Tracing"}
    assert not [name for name, each in template["Resources"].items() if "Tracing" in each["Properties"]]


def test_every_parameter_has_a_description_and_bounds(template: dict[str, Any]) -> None:
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"], name
        assert {"AllowedValues", "AllowedPattern", "MaxValue"} & set(parameter), name


def test_a_lookup_and_a_put_end_before_lambda_and_the_gateway_give_up(resources: dict[str, Resource]) -> None:
    (integration,) = of_type(resources, "AWS::ApiGatewayV2::Integration").values()
    timeout = resources["SessionsFunction"]["Properties"]["Timeout"]
    assert ROUNDS_SECONDS + CALL_SECONDS + 1 < timeout < integration["TimeoutInMillis"] / 1000 <= 30


def test_a_change_of_the_layer_or_of_a_variable_reaches_the_alias(template: dict[str, Any]) -> None:
    function = template["Globals"]["Function"]
    assert (function["AutoPublishAlias"], function["AutoPublishAliasAllProperties"]) == ("live", True)
    assert template["Resources"]["DependenciesLayer"]["Properties"]["PublishLambdaVersion"] is True
