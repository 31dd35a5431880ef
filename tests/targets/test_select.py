import pytest

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Target
from dbdoctor.targets.select import DemoTarget, Selection, profile_names, select_targets


@pytest.fixture
def home(tmp_path):
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "none")}


@pytest.fixture
def select(tmp_path, home):
    def choose(*words, **options):
        environment = {**home, **options.pop("more", {})}
        return select_targets(words, directory=tmp_path, environment=environment, **options)

    return choose


@pytest.fixture
def config(tmp_path):
    (tmp_path / "dbdoctor.toml").write_text(
        "login_timeout = 7\n[thresholds]\nidle = '1m'\n[targets.shop]\nhost = 'shop'\n[targets.jobs]\nhost = 'jobs'\n"
    )


def hosts(selection: Selection) -> list[str | None]:
    return [target.endpoints[0].host if isinstance(target, Target) else "demo" for target in selection.targets]


def test_words_of_every_kind_in_the_order_asked_for(select, config, tmp_path):
    (tmp_path / "live_shop.py").write_text("url = 'postgresql://live/x'\n")
    selection = select("jobs", "demo", "postgresql://dsn/x", "live_shop:url", "host=kv", "shop")
    assert hosts(selection) == ["jobs", "demo", "dsn", "live", "kv", "shop"]
    assert isinstance(selection.targets[1], DemoTarget)


def test_what_the_config_says_for_all_reaches_every_target(select, config):
    for target in select("shop", "postgresql://dsn/x").targets:
        assert (target.login_timeout, dict(target.thresholds)) == (7.0, {"idle": 60.0})


def test_every_profile(select, config):
    assert hosts(select(every_profile=True)) == ["shop", "jobs"]
    assert hosts(select("jobs", every_profile=True)) == ["jobs", "shop"]


def test_every_profile_of_none(select):
    with pytest.raises(UsageError, match="no profile"):
        select(every_profile=True)


def test_left_out(select, tmp_path):
    variables = {"DBDOCTOR_DSN": "postgresql://own/x", "DATABASE_URL": "postgresql://url/x"}
    (tmp_path / "dbdoctor.toml").write_text("[targets.only]\nhost = 'only'\n")
    assert hosts(select(more=variables)) == ["own"]
    assert select(more=variables).sources["target"] == "$DBDOCTOR_DSN"
    del variables["DBDOCTOR_DSN"]
    assert hosts(select(more=variables)) == ["only"]
    (tmp_path / "dbdoctor.toml").write_text("[targets.a]\nhost = 'a'\n[targets.b]\nhost = 'b'\n")
    assert hosts(select(more=variables)) == ["url"]
    (tmp_path / "dbdoctor.toml").write_text("default = 'b'\n[targets.a]\nhost = 'a'\n[targets.b]\nhost = 'b'\n")
    assert hosts(select(more=variables)) == ["b"]
    assert hosts(select(more=variables, use_config=False)) == ["url"]


def test_nothing_at_all_names_all_the_ways(select, config):
    with pytest.raises(UsageError) as caught:
        select()
    for way in (
        "postgresql://",
        "shop, jobs",
        "module:attribute",
        "check demo",
        "DBDOCTOR_DSN",
        "default",
        "DATABASE_URL",
    ):
        assert way in (caught.value.help or "")


@pytest.mark.parametrize(
    ("word", "what", "help"),
    [("shpo", "`shpo`", "`shop`"), ("dmeo", "`dmeo`", "`demo`"), ("zzz", "`zzz`", "shop, jobs")],
)
def test_unknown_words(select, config, word, what, help):
    with pytest.raises(UsageError) as caught:
        select(word)
    assert what in caught.value.what
    assert help in (caught.value.help or "")


@pytest.mark.parametrize("word", ["hunter2!", "pass word", "C:\\Users\\hunter2", "", "h" * 70 + "unter2", "\0hunter2"])
def test_a_word_that_may_be_a_secret_is_not_echoed(select, word):
    with pytest.raises(UsageError) as caught:
        select(word)
    assert "unter2" not in f"{caught.value.what} {caught.value.cause} {caught.value.help}"
    assert not word or word not in caught.value.what


def test_a_variable_is_named_and_not_quoted(select):
    with pytest.raises(UsageError) as caught:
        select(more={"DATABASE_URL": "hunter2"})
    assert "$DATABASE_URL" in caught.value.what
    assert "hunter2" not in f"{caught.value.what} {caught.value.help}"


def test_profile_names_never_raise(tmp_path, home, config):
    assert profile_names(directory=tmp_path, environment=home) == ["shop", "jobs"]
    (tmp_path / "dbdoctor.toml").write_text("[targets\n")
    assert profile_names(directory=tmp_path, environment=home) == []
    assert profile_names(tmp_path / "missing.toml", environment=home) == []
