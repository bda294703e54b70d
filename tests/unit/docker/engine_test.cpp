#include "bba/docker/engine.hpp"

#include <csignal>

#include "bba/wire/frame.hpp"
#include "support.hpp"

using namespace bba;
using namespace bba::docker;
using namespace bba::test;

namespace {

const std::string no_content = "HTTP/1.1 204 No Content\r\n\r\n";

std::string version_answer(std::string_view api, std::string_view least) {
  return answer(200, dump_json({{"ApiVersion", api}, {"MinAPIVersion", least}}));
}

// Answers to create, start and inspect for one exec in "web", whose stream is `stream`.
void script_exec(FakeEngine& fake, const std::string& stream, const std::string& status) {
  fake.on("POST /containers/web/exec", {send(answer(201, R"({"Id":"e1"})"))});
  fake.on("POST /exec/e1/start", {send(stream_header + stream)});
  fake.on("GET /exec/e1/json", {send(answer(200, status))});
}

const std::string ended_well = R"({"Running":false,"ExitCode":0})";

}  // namespace

TEST_CASE("host: unix addresses and bare paths are accepted") {
  CHECK(socket_path("unix:///var/run/docker.sock") == "/var/run/docker.sock");
  CHECK(socket_path("/run/podman/podman.sock") == "/run/podman/podman.sock");
  for (const char* bad :
       {"", "tcp://127.0.0.1:2375", "ssh://host", "unix://docker.sock", "npipe:x"}) {
    CAPTURE(bad);
    const Caught error = caught([&] { socket_path(bad); });
    CHECK(error.kind == ErrorKind::usage);
    CHECK(contains(error.hint, "unix:///var/run/docker.sock"));
  }
}

TEST_CASE("version: the lower of both API versions is used, and the engine is asked once") {
  for (const auto& [api, spoken] : {std::pair{"1.41", "/v1.41/info"},
                                    {"1.9", "/v1.9/info"},
                                    {"1.51", "/v1.51/info"},
                                    {"1.99", "/v1.51/info"}}) {
    FakeEngine fake;
    fake.on("GET /version", {send(version_answer(api, "1.9"))});
    fake.on("GET /info", {send(answer(200, "{}"))});
    Engine engine(fake.socket_path(), patient(), nullptr);
    engine.info();
    engine.info();
    CHECK(fake.last("GET /version").target == "/version");
    CHECK(fake.last("GET /info").target == spoken);
    CHECK(fake.count("GET /version") == 1);
  }
}

TEST_CASE("version: an engine that no longer supports our API version") {
  FakeEngine fake;
  fake.on("GET /version", {send(version_answer("1.70", "1.60"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  const Caught error = caught([&] { engine.info(); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(error.what == "the engine wants API version 1.60 or newer, this program speaks 1.51");
  CHECK(fake.count("GET /info") == 0);
}

TEST_CASE("version: an answer that is not a Docker engine's") {
  for (const std::string& bytes :
       {answer(200, "{}"), answer(200, "<html>hello</html>", "text/html"),
        answer(200, R"({"ApiVersion":"one"})")}) {
    FakeEngine fake;
    fake.on("GET /version", {send(bytes)});
    Engine engine(fake.socket_path(), patient(), nullptr);
    const Caught error = caught([&] { engine.version(); });
    CHECK(error.kind == ErrorKind::engine);
    CHECK(contains(error.what,
                   "GET /version: the answer is not what the Docker Engine API promises"));
    CHECK(contains(error.hint, "socket of a Docker Engine?"));
  }
}

TEST_CASE("list: filters are sent as JSON in the query") {
  FakeEngine fake;
  fake.on("GET /containers/json", {send(answer(200, R"([{"Id":"a","Names":["/web"]}])"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  const auto list = engine.list({{"label", {"com.docker.compose.service=web"}}});
  REQUIRE(list.size() == 1);
  CHECK(list[0].names == std::vector<std::string>{"web"});
  CHECK(fake.last("GET /containers/json").target ==
        "/v1.41/containers/json?all=1&filters=%7B%22label%22%3A%5B%22com.docker.compose.service%"
        "3Dweb%22%5D%7D");
  engine.list(Json::object(), false);
  CHECK(contains(fake.last("GET /containers/json").target, "all=0&filters=%7B%7D"));
}

TEST_CASE("names: percent-encoded, so that none leads out of the path") {
  FakeEngine fake;
  Engine engine(fake.socket_path(), patient(), nullptr);
  caught([&] { engine.inspect("a/b?c d"); });
  CHECK(fake.requests().back().target == "/v1.41/containers/a%2Fb%3Fc%20d/json");
  caught([&] { engine.get_archive("web", "/my data/\xc3\xa4&b"); });
  CHECK(fake.requests().back().target ==
        "/v1.41/containers/web/archive?path=%2Fmy%20data%2F%C3%A4%26b");
  caught([&] { engine.inspect_image("registry/postgres:16"); });
  CHECK(fake.requests().back().target == "/v1.41/images/registry%2Fpostgres%3A16/json");
  const std::size_t before = fake.requests().size();
  for (const char* bad : {"", ".", "..", "../images"}) {
    CHECK(caught([&] { engine.inspect(bad); }).kind == ErrorKind::container);
  }
  CHECK(fake.requests().size() == before);
}

TEST_CASE("run: stdout and stderr are separate, and the exit code is known") {
  FakeEngine fake;
  script_exec(fake, frame(1, "one\n") + frame(2, "oops\n") + frame(1, "two\n"),
              R"({"Running":false,"ExitCode":3})");
  Engine engine(fake.socket_path(), patient(), nullptr);
  const ExecResult result = engine.run(
      "web", {.argv = {"psql", "-c", "x"}, .env = {{"PGPASSWORD", "secret"}}, .user = "postgres"});
  CHECK(result.out == "one\ntwo\n");
  CHECK(result.err == "oops\n");
  CHECK(result.exit_code == 3);
  const SeenRequest create = fake.last("POST /containers/web/exec");
  CHECK(contains(create.body, R"("Env":["PGPASSWORD=secret"])"));
  CHECK(fake.last("POST /exec/e1/start").body == R"({"Detach":false,"Tty":false})");
  CHECK_FALSE(contains(fake.last("POST /exec/e1/start").header, "Upgrade"));
}

TEST_CASE("run: the engine reports on stdout that a program cannot start") {
  FakeEngine fake;
  const std::string words = "OCI runtime exec failed: exec: \"nonesuch\": not found in $PATH\r\n";
  script_exec(fake, frame(1, words), R"({"Running":false,"ExitCode":126})");
  Engine engine(fake.socket_path(), patient(), nullptr);
  const ExecResult result = engine.run("web", {.argv = {"nonesuch"}});
  CHECK(result.exit_code == 126);
  CHECK(result.out == words);
}

TEST_CASE("run: frames that are cut anywhere are an error") {
  const std::string stream = frame(1, "hello") + frame(2, "x");
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    if (cut == 13) continue;  // between two frames
    FakeEngine fake;
    script_exec(fake, stream.substr(0, cut), ended_well);
    Engine engine(fake.socket_path(), patient(), nullptr);
    const Caught error = caught([&] { engine.run("web", {.argv = {"true"}}); });
    CAPTURE(cut);
    CHECK(error.kind == ErrorKind::engine);
    CHECK(contains(error.what, "the output of true is not whole: the stream ended inside a frame"));
  }
}

TEST_CASE("run: output that is not a frame is an error at once") {
  FakeEngine fake;
  script_exec(fake, "plain text", ended_well);
  Engine engine(fake.socket_path(), patient(), nullptr);
  const Caught error = caught([&] { engine.run("web", {.argv = {"true"}}); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(contains(error.what, "(at byte 0)"));
}

TEST_CASE("run: output beyond the limit is an error") {
  FakeEngine fake;
  script_exec(fake, frame(1, std::string(60, 'a')) + frame(2, std::string(40, 'b')), ended_well);
  Engine engine(fake.socket_path(), patient(), nullptr);
  CHECK(engine.run("web", {.argv = {"x"}}, 60).out.size() == 60);
  const Caught error = caught([&] { engine.run("web", {.argv = {"x"}}, 59); });
  CHECK(error.kind == ErrorKind::capture);
  CHECK(error.what == "x printed more than 59 B");
}

TEST_CASE("run: a paused container refuses it") {
  FakeEngine fake;
  fake.on("POST /containers/web/exec",
          {send(answer(409, R"({"message":"Container web is paused, unpause it"})"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  const Caught error = caught([&] { engine.run("web", {.argv = {"true"}}); });
  CHECK(error.kind == ErrorKind::container);
  CHECK(error.status == 409);
}

TEST_CASE("exit code: while it is null the engine is asked again") {
  FakeEngine fake;
  fake.on("GET /exec/e1/json", {send(answer(200, R"({"Running":true,"ExitCode":null})"))});
  fake.on("GET /exec/e1/json", {send(answer(200, R"({"Running":true,"ExitCode":0})"))});
  fake.on("GET /exec/e1/json", {send(answer(200, R"({"Running":false,"ExitCode":null})"))});
  fake.on("GET /exec/e1/json", {send(answer(200, R"({"Running":false,"ExitCode":7})"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  CHECK(engine.exit_code("e1", 20s) == 7);
  CHECK(fake.count("GET /exec/e1/json") == 4);
}

TEST_CASE("exit code: one that never comes is unknown, and not 0") {
  for (const char* status : {R"({"Running":false,"ExitCode":null})",
                             R"({"Running":true,"ExitCode":0})", R"({"Running":false})"}) {
    FakeEngine fake;
    fake.on("GET /exec/e1/json", {send(answer(200, status))});
    Engine engine(fake.socket_path(), patient(), nullptr);
    CHECK(engine.exit_code("e1", 30ms) == std::nullopt);
  }
}

TEST_CASE("exit code: it is asked for at least once, and a stop ends the polling") {
  Stop stop;
  FakeEngine fake;
  fake.on("GET /exec/e1/json", {send(answer(200, ended_well))});
  fake.on("GET /exec/e1/json", {call([&] { stop.request(SIGINT); }),
                                send(answer(200, R"({"Running":true,"ExitCode":null})"))});
  Engine engine(fake.socket_path(), patient(), &stop);
  CHECK(engine.exit_code("e1", 0ms) == 0);
  CHECK(caught([&] { engine.exit_code("e1", 60s); }).kind == ErrorKind::interrupted);
}

TEST_CASE("attach: the first frame may share the packet with the header") {
  FakeEngine fake;
  fake.on("POST /exec/e1/start",
          {send(upgraded_header + frame(1, "first")), send(frame(1, "second"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Attached attached = engine.attach_exec("e1");
  CHECK(read_all(attached) == frame(1, "first") + frame(1, "second"));
  CHECK_FALSE(attached.read());
  const SeenRequest start = fake.last("POST /exec/e1/start");
  CHECK(contains(start.header, "Upgrade: tcp\r\n"));
  CHECK(contains(start.header, "Connection: Upgrade\r\n"));
}

TEST_CASE("attach: an engine may answer 200") {
  FakeEngine fake;
  fake.on("POST /exec/e1/start", {send(stream_header), echo_frames()});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Attached attached = engine.attach_exec("e1");
  std::string output;
  attached.write(as_bytes("input"), [&](Chunk piece) { output += piece.text(); });
  attached.close_stdin();
  output += read_all(attached);
  CHECK(output == frame(1, "input"));
}

TEST_CASE("attach: a program that prints while it reads does not block") {
  FakeEngine fake;
  fake.on("POST /exec/e1/start", {send(upgraded_header), echo_frames()});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Attached attached = engine.attach_exec("e1");
  // Far more than two socket buffers hold.
  const std::string input = pattern(8 << 20);
  std::string frames;
  const auto output = [&](Chunk piece) { frames += piece.text(); };
  for (std::size_t at = 0; at < input.size(); at += 1 << 20) {
    attached.write(as_bytes(std::string_view(input).substr(at, 1 << 20)), output);
  }
  CHECK_FALSE(frames.empty());
  attached.close_stdin();
  frames += read_all(attached);
  std::string echoed;
  wire::FrameParser parser;
  parser.feed(as_bytes(frames), [&](const wire::FrameParser::Piece& piece) {
    echoed += std::string_view(frames).substr(piece.offset, piece.length);
  });
  CHECK(parser.finish() == wire::FrameError::none);
  CHECK(echoed == input);
}

TEST_CASE("attach: a program that ends before it has read everything") {
  FakeEngine fake;
  fake.on("POST /exec/e1/start", {send(upgraded_header + frame(2, "bad input\n"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Attached attached = engine.attach_exec("e1");
  std::string output;
  const std::string input(1 << 20, 'x');
  const Caught error = caught([&] {
    for (int i = 0; i < 100; ++i) {
      attached.write(as_bytes(input), [&](Chunk piece) { output += piece.text(); });
    }
  });
  CHECK(error.kind == ErrorKind::capture);
  output += read_all(attached);
  CHECK(output == frame(2, "bad input\n"));
}

TEST_CASE("attach: a stop closes the connection while stdin is stuck") {
  Stop stop;
  FakeEngine fake;
  const Step stop_while_reading = [&](FakeConnection& connection) {
    connection.receive();
    stop.request(SIGTERM);
    connection.pause(20ms);
  };
  fake.on("POST /exec/e1/start", {send(upgraded_header), stop_while_reading, hold()});
  Engine engine(fake.socket_path(), patient(), &stop);
  Attached attached = engine.attach_exec("e1");
  const std::string input(4 << 20, 'x');
  CHECK(caught([&] { attached.write(as_bytes(input), [](Chunk) {}); }).kind ==
        ErrorKind::terminated);
  CHECK(fake.saw_close());
}

TEST_CASE("attach: stdin that nobody reads ends in the time limit of silence") {
  FakeEngine fake;
  fake.on("POST /exec/e1/start", {send(upgraded_header), pause(60s)});
  Engine engine(fake.socket_path(), {.connect = 20s, .silence = 1s}, nullptr);
  Attached attached = engine.attach_exec("e1");
  const std::string input(4 << 20, 'x');
  CHECK(caught([&] { attached.write(as_bytes(input), [](Chunk) {}); }).kind == ErrorKind::timeout);
}

TEST_CASE("archive: data after the tar is passed on, for the tar check to see") {
  FakeEngine fake;
  const std::string tar(1024, '\0');
  const std::string words = R"({"message":"read /data/x: input/output error"})";
  fake.on("GET /containers/web/archive",
          {send(chunked_header + chunk(tar) + chunk(words) + last_chunk)});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Body body = engine.get_archive("web", "/data");
  CHECK(read_all(body) == tar + words);
}

TEST_CASE("archive: an Engine can be used while one of its bodies is read") {
  FakeEngine fake;
  fake.on("GET /containers/web/archive",
          {send(chunked_header + chunk("abc")), pause(100ms), send(chunk("def") + last_chunk)});
  fake.on("GET /info", {send(answer(200, R"({"Name":"host1"})"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Body body = engine.get_archive("web", "/data");
  CHECK(engine.info().name == "host1");
  Body moved = std::move(body);
  CHECK(read_all(moved) == "abcdef");
}

TEST_CASE("stat: whether a path exists is asked with HEAD, which has no body") {
  FakeEngine fake;
  fake.on("HEAD /containers/web/archive", {send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")});
  fake.on("HEAD /containers/web/archive",
          {send("HTTP/1.1 404 Not Found\r\nContent-Length: 60\r\n\r\n")});
  fake.on("HEAD /containers/web/archive",
          {send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 60\r\n\r\n")});
  Engine engine(fake.socket_path(), patient(), nullptr);
  CHECK(engine.has_path("web", "/x y"));
  CHECK(contains(fake.last("HEAD /containers/web/archive").target, "path=%2Fx%20y"));
  CHECK_FALSE(engine.has_path("web", "/x"));
  const Caught error = caught([&] { engine.has_path("web", "/x"); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(contains(error.what, "(status 500)"));
}

TEST_CASE("put archive: the body is streamed in chunks") {
  FakeEngine fake;
  fake.on("PUT /containers/web/archive", {send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")});
  Engine engine(fake.socket_path(), patient(), nullptr);
  const std::string data = pattern(3'000'000);
  std::size_t at = 0;
  bool empty_next = true;
  engine.put_archive("web", "/", [&]() -> std::optional<Chunk> {
    // An empty chunk on the way must not end the body.
    empty_next = !empty_next;
    if (empty_next) return Chunk();
    if (at == data.size()) return std::nullopt;
    at += 100'000;
    return Chunk::copy_of(std::string_view(data).substr(at - 100'000, 100'000));
  });
  const SeenRequest put = fake.last("PUT /containers/web/archive");
  CHECK(put.body == data);
  CHECK(put.target == "/v1.41/containers/web/archive?path=%2F");
  CHECK(contains(put.header, "Content-Type: application/x-tar\r\n"));
}

TEST_CASE("put archive: an early error ends the sending, whether the engine closes or not") {
  const std::string refusal = answer(403, R"({"message":"rootfs is read-only"})");
  for (const Reply& reply : {Reply{send(refusal)}, Reply{send(refusal), pause(60s)}}) {
    FakeEngine fake;
    fake.on_head("PUT /containers/web/archive", reply);
    Engine engine(fake.socket_path(), patient(), nullptr);
    const Chunk piece = Chunk::copy_of(pattern(1 << 20));
    int sent = 0;
    const Caught error = caught([&] {
      engine.put_archive("web", "/", [&]() -> std::optional<Chunk> {
        if (++sent > 1000) return std::nullopt;
        return piece;
      });
    });
    CHECK(error.status == 403);
    CHECK(contains(error.what, "rootfs is read-only"));
    CHECK(sent < 1000);
  }
}

TEST_CASE("put archive: a success before the whole body was sent is an error") {
  FakeEngine fake;
  fake.on_head("PUT /containers/web/archive",
               {send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), pause(60s)});
  Engine engine(fake.socket_path(), patient(), nullptr);
  const Chunk piece = Chunk::copy_of(pattern(1 << 20));
  int left = 50;
  const Caught error = caught([&] {
    engine.put_archive("web", "/", [&]() -> std::optional<Chunk> {
      if (left-- == 0) return std::nullopt;
      return piece;
    });
  });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(contains(error.what, "the engine answered before it had read the whole archive"));
}

TEST_CASE("put archive: an error of the source is thrown to the caller, and ends the request") {
  FakeEngine fake;
  fake.on_head("PUT /containers/web/archive", {hold()});
  Engine engine(fake.socket_path(), patient(), nullptr);
  const Caught error = caught([&] {
    engine.put_archive("web", "/", []() -> std::optional<Chunk> {
      throw Error(ErrorKind::artifact, "the artifact is cut");
    });
  });
  CHECK(error.kind == ErrorKind::artifact);
  CHECK(fake.saw_close());
}

TEST_CASE("containers: pause, unpause, start, stop") {
  FakeEngine fake;
  for (const char* verb : {"pause", "unpause", "start", "stop"}) {
    fake.on(std::string("POST /containers/web/") + verb, {send(no_content)});
  }
  Engine engine(fake.socket_path(), patient(), nullptr);
  engine.pause("web");
  engine.unpause("web");
  engine.start("web");
  engine.stop("web", 7s);
  CHECK(fake.last("POST /containers/web/stop").target == "/v1.41/containers/web/stop?t=7");
  CHECK(fake.requests().size() == 5);
}

TEST_CASE("containers: already started or stopped is success, already paused is not") {
  FakeEngine fake;
  fake.on("POST /containers/web/start", {send("HTTP/1.1 304 Not Modified\r\n\r\n")});
  fake.on("POST /containers/web/stop", {send("HTTP/1.1 304 Not Modified\r\n\r\n")});
  fake.on("POST /containers/web/pause",
          {send(answer(409, R"({"message":"Container web is already paused"})"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  CHECK_NOTHROW(engine.start("web"));
  CHECK_NOTHROW(engine.stop("web", 1s));
  CHECK(caught([&] { engine.pause("web"); }).status == 409);
}

TEST_CASE("containers: create and remove") {
  FakeEngine fake;
  fake.on("POST /containers/create", {send(answer(201, R"({"Id":"c1","Warnings":[]})"))});
  fake.on("POST /containers/create", {send(answer(201, R"({"Warnings":[]})"))});
  fake.on("DELETE /containers/c1", {send(no_content)});
  fake.on("DELETE /containers/c1", {send(answer(404, R"({"message":"No such container"})"))});
  fake.on("DELETE /containers/c1", {send(answer(500, R"({"message":"busy"})"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  CHECK(engine.create_container("bba-drill", {{"Image", "x"}}) == "c1");
  const SeenRequest create = fake.last("POST /containers/create");
  CHECK(create.target == "/v1.41/containers/create?name=bba-drill");
  CHECK(create.body == R"({"Image":"x"})");
  CHECK(caught([&] { engine.create_container("x", Json::object()); }).kind == ErrorKind::engine);
  engine.remove_container("c1");
  CHECK(fake.last("DELETE /containers/c1").target == "/v1.41/containers/c1?force=1&v=1");
  CHECK_NOTHROW(engine.remove_container("c1"));
  CHECK(caught([&] { engine.remove_container("c1"); }).status == 500);
}

TEST_CASE("find: a container, none where the engine has none, and every other error as it is") {
  FakeEngine fake;
  fake.on("GET /containers/gone/json", {send(answer(404, R"({"message":"No such container"})"))});
  fake.on("GET /containers/sick/json", {send(answer(500, R"({"message":"disk"})"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  CHECK_FALSE(engine.find("gone").has_value());
  CHECK(caught([&] { engine.find("sick"); }).status == 500);
  const std::size_t asked = fake.requests().size();
  CHECK_FALSE(engine.find("").has_value());
  CHECK(fake.requests().size() == asked);
}

TEST_CASE("logs: with frames, and of a container with a terminal without") {
  FakeEngine fake;
  fake.on("GET /containers/web/logs", {send(stream_header + frame(1, "a\n") + frame(2, "b\n"))});
  fake.on("GET /containers/web/logs", {send(stream_header + "plain\r\n")});
  Engine engine(fake.socket_path(), patient(), nullptr);
  CHECK(engine.logs("web", 5) == "a\nb\n");
  CHECK(fake.last("GET /containers/web/logs").target ==
        "/v1.41/containers/web/logs?stdout=1&stderr=1&tail=5");
  CHECK(engine.logs("web", 5) == "plain\r\n");
}
