"""The two shared clusters let the right clients in and refuse the others, by Kafka's own client."""

from __future__ import annotations

import pytest

from rig.access import MECHANISMS, ClusterAccess
from rig.admin import AdminError
from rig.presets import OCI_TOKEN, OCI_USER


def addresses(view: dict) -> list[str]:
    return [f"{broker['host']}:{broker['port']}" for broker in view["brokers"]]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_oci_takes_the_user_by_every_mechanism(oci_cluster: ClusterAccess, mechanism: str) -> None:
    properties = oci_cluster.java_properties("sasl_ssl", mechanism=mechanism)

    view = oci_cluster.admin.login(properties)

    assert addresses(view) == oci_cluster.bootstrap("sasl_ssl")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_oci_refuses_a_wrong_password(oci_cluster: ClusterAccess, mechanism: str) -> None:
    properties = oci_cluster.java_properties("sasl_ssl", mechanism=mechanism, password="wrong")

    with pytest.raises(AdminError, match="Authentication failed"):
        oci_cluster.admin.login(properties)


def test_oci_credentials_are_given_in_librdkafkas_words(oci_cluster: ClusterAccess) -> None:
    properties = oci_cluster.librdkafka_properties("sasl_ssl")

    assert properties == {
        "bootstrap.servers": oci_cluster.bootstrap("sasl_ssl")[0],
        "security.protocol": "sasl_ssl",
        "ssl.ca.location": str(oci_cluster.certificates.root),
        "sasl.mechanisms": "PLAIN",
        "sasl.username": OCI_USER,
        "sasl.password": OCI_TOKEN,
    }


def test_a_scram_user_can_be_added_and_taken_away(oci_cluster: ClusterAccess) -> None:
    admin = oci_cluster.admin
    properties = oci_cluster.java_properties(
        "sasl_ssl", user="team/new", password="secret", mechanism="SCRAM-SHA-512"
    )

    admin.alter_scram_user("team/new", "secret", "SCRAM-SHA-512")
    assert addresses(admin.login(properties)) == oci_cluster.bootstrap("sasl_ssl")

    admin.alter_scram_user("team/new", None, "SCRAM-SHA-512")
    with pytest.raises(AdminError, match="Authentication failed"):
        admin.login(properties)


def test_aws_takes_a_client_certificate(aws_cluster: ClusterAccess) -> None:
    view = aws_cluster.admin.login(aws_cluster.java_properties("ssl"))

    assert addresses(view) == aws_cluster.bootstrap("ssl")


@pytest.mark.parametrize("kind", ["expired_client", "foreign_client"])
def test_aws_refuses_a_bad_certificate(aws_cluster: ClusterAccess, kind: str) -> None:
    certificate = getattr(aws_cluster.certificates, kind)()

    with pytest.raises(AdminError, match="SslAuthenticationException.*certificate"):
        aws_cluster.admin.login(aws_cluster.java_properties("ssl", certificate=certificate))


def test_aws_refuses_a_client_without_certificate(aws_cluster: ClusterAccess) -> None:
    properties = aws_cluster.java_properties("ssl")
    del properties["ssl.keystore.type"], properties["ssl.keystore.location"]

    with pytest.raises(AdminError, match="SslAuthenticationException.*certificate"):
        aws_cluster.admin.login(properties)


def test_a_client_with_another_ca_refuses_the_cluster(aws_cluster: ClusterAccess) -> None:
    properties = aws_cluster.java_properties("ssl")
    properties["ssl.truststore.location"] = str(aws_cluster.certificates.foreign_root)

    with pytest.raises(AdminError, match="SslAuthenticationException"):
        aws_cluster.admin.login(properties)


@pytest.mark.parametrize("preset", ["oci_cluster", "aws_cluster"])
def test_the_judge_comes_in_by_plaintext(preset: str, request: pytest.FixtureRequest) -> None:
    cluster = request.getfixturevalue(preset)

    view = cluster.admin.login(cluster.java_properties("plaintext"))

    assert addresses(view) == cluster.bootstrap("plaintext")


def test_an_access_survives_json(aws_cluster: ClusterAccess) -> None:
    copy = ClusterAccess.from_json(aws_cluster.to_json())

    assert copy.java_properties("ssl") == aws_cluster.java_properties("ssl")
    assert copy.admin.describe_cluster() == aws_cluster.admin.describe_cluster()
    copy.close()
