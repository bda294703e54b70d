#include <chrono>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/conf/platform.hpp"
#include "files.hpp"

using bba::conf::containers_in_runbook;
using bba::conf::runbook_containers;
using Names = std::vector<std::string>;

TEST_CASE("runbook: the name after a command's options is the container") {
  const struct {
    std::string text;
    std::string name;
  } rows[] = {
      {"docker exec pg psql", "pg"},
      {"docker exec -it pg psql -U x", "pg"},
      {"docker exec -i -t -u postgres pg psql", "pg"},
      {"docker exec -itu postgres pg psql", "pg"},
      {"docker exec -upostgres pg psql", "pg"},
      {"docker exec --user postgres pg psql", "pg"},
      {"docker exec --user=postgres --workdir /x pg psql", "pg"},
      {"docker exec -e A=B -e 'C=D E' --env X=Y -w /dir pg sh -c 'docker'", "pg"},
      {"docker exec --env-file ./x.env --detach-keys ctrl-x --privileged pg true", "pg"},
      {"docker logs -f pg", "pg"},
      {"docker logs --tail 50 -f pg 2>&1", "pg"},
      {"docker logs -n 50 --since 10m --until=5m -t --details pg", "pg"},
      {"docker logs -fn50 pg", "pg"},
      {"docker inspect -f '{{.State.Status}} {{ .Name }}' pg", "pg"},
      {"docker inspect --format=\"{{json .Mounts}}\" pg", "pg"},
      {"docker inspect --type container -s pg", "pg"},
      {"docker inspect --type=container pg", "pg"},
      {"docker restart -t 30 pg", "pg"},
      {"docker restart --signal SIGINT --time=5 pg", "pg"},
      {"docker container exec -it pg sh", "pg"},
      {"docker -H unix:///x.sock --context prod -D exec pg sh", "pg"},
      {"sudo docker exec pg sh", "pg"},
      {"/usr/bin/docker exec pg sh", "pg"},
      {"x=$(docker inspect pg)", "pg"},
      {"docker exec \"pg\" sh", "pg"},
      {"docker  exec \t pg\n", "pg"},
      {"docker exec -it \\\n  -u postgres \\\r\n  pg psql", "pg"},
      {"docker logs pg|grep x", "pg"},
      {"docker logs pg>out.txt", "pg"},
      {"docker restart pg; docker-compose ps", "pg"},
      {"Run `docker restart pg`, then wait.", "pg"},
      {"Run docker restart pg.", "pg"},
      {"(see docker logs pg)", "pg"},
      {"docker logs pg: the last lines", "pg"},
      {"| restart | `docker restart my.Pg_1-x` |", "my.Pg_1-x"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(containers_in_runbook(row.text) == Names{row.name});
  }
}

TEST_CASE("runbook: commands that name no container") {
  for (const std::string text : {"docker exec <name> sh",
                                 "docker exec $NAME sh",
                                 "docker exec \"$NAME\" sh",
                                 "docker exec ${NAME:-pg} sh",
                                 "docker exec pg-<n> sh",
                                 "docker exec pg-$N sh",
                                 "docker exec {{ name }} sh",
                                 "docker exec [name] sh",
                                 "docker exec pg/x sh",
                                 "docker logs pg:1",
                                 "docker logs $(docker ps -q)",
                                 "docker compose exec pg sh",
                                 "docker-compose exec pg sh",
                                 "docker compose -f x.yaml logs pg",
                                 "docker ps pg",
                                 "docker run pg",
                                 "docker volume inspect pg",
                                 "docker image inspect pg",
                                 "docker inspect --type image pg",
                                 "docker inspect --type=volume pg",
                                 "docker.io exec pg",
                                 "mydocker exec pg",
                                 "docker_exec pg",
                                 "docker execute pg",
                                 "docker logs",
                                 "docker logs\npg",
                                 "docker exec -it",
                                 "docker exec -u",
                                 "docker exec -it `pg`",
                                 "docker",
                                 "",
                                 "docker logs -- ",

                                 "docker logs ../pg",
                                 "docker logs -",
                                 "docker logs ..."}) {
    CAPTURE(text);
    CHECK(containers_in_runbook(text) == Names{});
  }
}

TEST_CASE("runbook: each name is listed once, in the order of the text") {
  CHECK(containers_in_runbook("# Honcho\n\nLook: `docker logs --tail 50 honcho-db`.\n\n```sh\n"
                              "docker exec -it honcho-api sh\ndocker restart honcho-db\n```\n"
                              "docker inspect honcho-worker\n") ==
        Names{"honcho-db", "honcho-api", "honcho-worker"});
}

TEST_CASE("runbook: large and binary texts are read without an error") {
  std::string text;
  for (const std::string piece :
       {"docker -H ", "docker exec -e ", "docker \\\n", "docker 'docker ", "docker\xff\x00 "}) {
    CAPTURE(piece);
    text.clear();
    while (text.size() < 1'000'000) text += piece;
    const auto start = std::chrono::steady_clock::now();
    CHECK(containers_in_runbook(text).size() <= 1);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  }
}

TEST_CASE("runbook: the file of a module is found") {
  const test::TempDir root;
  root.write("modules/kuma/runbook.md", "docker logs uptime-kuma\n");
  root.write("runbook.md", "docker logs secret\n");
  root.link("loop.md", "modules/loop/runbook.md");
  root.link("runbook.md", "modules/self/runbook.md");
  root.write("modules/large/runbook.md", std::string((10 << 20) + 1, 'x'));
  CHECK(runbook_containers(root.path(), "kuma") == Names{"uptime-kuma"});
  CHECK(runbook_containers(root.path(), "absent") == Names{});
  const auto error = [&](const std::string& id) {
    return test::config_error([&] { runbook_containers(root.path(), id); });
  };
  CHECK(error("self").find("symbolic links") != std::string::npos);
  CHECK(error("large").find("larger than 10.0 MiB") != std::string::npos);
  for (const std::string id : {"..", "../modules/kuma", "", ".", "/etc", "kuma/../kuma"}) {
    CAPTURE(id);
    CHECK(error(id) == "\"" + id + "\" is not a module id");
  }
}
