// HTTP: every way in which an answer can be complete, and every way in which it can be broken.
#include "support.hpp"

using namespace bba;
using namespace bba::docker;
using namespace bba::test;

namespace {

// What reading the archive of "web" gives when the engine sends `bytes` and closes.
std::string archive_of(const std::string& bytes) {
  FakeEngine fake;
  fake.on("GET /containers/web/archive", {send(bytes)});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Body body = engine.get_archive("web", "/data");
  std::string text = read_all(body);
  CHECK_FALSE(body.read());  // the end stays the end
  return text;
}

std::string headed(const std::string& fields, const std::string& body) {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body;
}

}  // namespace

TEST_CASE("request: what is sent, without asking for compression") {
  FakeEngine fake;
  fake.on("GET /info", {send(answer(200, "{}"))});
  fake.on("POST /containers/web/exec", {send(answer(201, R"({"Id":"e1"})"))});
  fake.on("POST /containers/web/pause", {send("HTTP/1.1 204 No Content\r\n\r\n")});
  Engine engine(fake.socket_path(), patient(), nullptr);
  engine.info();
  const std::string get = fake.last("GET /info").header;
  CHECK(get.starts_with("GET /v1.41/info HTTP/1.1\r\n"));
  CHECK(contains(get, "Host: docker\r\n"));
  CHECK(contains(get, "User-Agent: backup-before-apply/"));
  CHECK(contains(get, "Connection: close\r\n"));
  CHECK_FALSE(contains(get, "Accept-Encoding"));
  CHECK_FALSE(contains(get, "Content-Length"));

  CHECK(engine.create_exec("web", {.argv = {"id"}}) == "e1");
  const SeenRequest post = fake.last("POST /containers/web/exec");
  CHECK(contains(post.header, "Content-Type: application/json\r\n"));
  CHECK(string_member(*parse_json(post.body), "Cmd") == std::nullopt);
  CHECK(member(*parse_json(post.body), "Cmd")->at(0) == "id");

  engine.pause("web");
  CHECK(contains(fake.last("POST /containers/web/pause").header, "Content-Length: 0\r\n"));
}

TEST_CASE("answer: the header comes in any number of pieces") {
  const std::string whole = answer(200, R"({"Name":"host1"})");
  for (std::size_t cut = 1; cut < whole.size(); cut += 3) {
    FakeEngine fake;
    fake.on("GET /info", {send(whole.substr(0, cut)), pause(1ms), send(whole.substr(cut))});
    Engine engine(fake.socket_path(), patient(), nullptr);
    CHECK(engine.info().name == "host1");
  }
}

TEST_CASE("answer: an end inside the header") {
  const std::string header = answer(200, "");
  for (const std::size_t cut : {1UL, 8UL, 20UL, header.size() - 1}) {
    CAPTURE(cut);
    const Caught error = caught([&] { archive_of(header.substr(0, cut)); });
    CHECK(error.kind == ErrorKind::engine);
    CHECK(error.what == "GET /v1.41/containers/web/archive: the answer ended inside its header");
  }
}

TEST_CASE("answer: no answer at all") {
  const Caught error = caught([&] { archive_of(""); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(contains(error.what, "the engine closed the connection without an answer"));
}

TEST_CASE("answer: not HTTP") {
  for (const char* bytes :
       {"SSH-2.0-OpenSSH_9.2\r\n", "\r\n\r\n\r\n\r\n\r\n", "-ERR unknown command\r\n",
        "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"}) {
    CAPTURE(bytes);
    const Caught error = caught([&] { archive_of(bytes); });
    CHECK(error.kind == ErrorKind::engine);
    CHECK(contains(error.what, "the answer is not HTTP"));
    CHECK(contains(error.hint, "socket of a Docker Engine?"));
  }
}

TEST_CASE("answer: an endless header is read only up to a limit") {
  const Caught error = caught(
      [&] { archive_of("HTTP/1.1 200 OK\r\nX: " + std::string(10 << 20, 'x') + "\r\n\r\n"); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(contains(error.what, "header limit exceeded"));
}

TEST_CASE("answer: a redirect is not followed") {
  const Caught error = caught(
      [&] { archive_of("HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(contains(error.what, "unexpected status 301 Moved"));
}

TEST_CASE("chunked: complete, in one packet and in many") {
  CHECK(archive_of(chunked_header + last_chunk).empty());
  CHECK(archive_of(chunked_header + chunk("abc") + chunk("defg") + last_chunk) == "abcdefg");
  CHECK(archive_of(chunked_header + "3;name=value\r\nabc\r\n0\r\nTrailer: x\r\n\r\n") == "abc");
  const std::string whole = chunked_header + chunk("abc") + chunk(pattern(40)) + last_chunk;
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    FakeEngine fake;
    fake.on("GET /containers/web/archive",
            {send(whole.substr(0, cut)), pause(1ms), send(whole.substr(cut))});
    Engine engine(fake.socket_path(), patient(), nullptr);
    Body body = engine.get_archive("web", "/data");
    CHECK(read_all(body) == "abc" + pattern(40));
  }
}

TEST_CASE("chunked: the body can be larger than any buffer") {
  const std::string data = pattern(5'000'000);
  std::string bytes = chunked_header;
  for (std::size_t at = 0; at < data.size(); at += 32768) bytes += chunk(data.substr(at, 32768));
  CHECK(archive_of(bytes + last_chunk) == data);
  CHECK(archive_of(chunked_header + chunk(data) + last_chunk) == data);
}

TEST_CASE("chunked: an end before the last chunk, wherever it is") {
  const std::string whole = chunked_header + chunk("abc") + chunk("defg") + last_chunk;
  for (std::size_t cut = chunked_header.size(); cut < whole.size(); ++cut) {
    CAPTURE(cut);
    const Caught error = caught([&] { archive_of(whole.substr(0, cut)); });
    CHECK(error.kind == ErrorKind::engine);
    CHECK(contains(error.what, "the answer ended early: "));
    CHECK(contains(error.what, "and no last chunk"));
  }
}

TEST_CASE("chunked: data before a cut is returned first") {
  FakeEngine fake;
  fake.on("GET /containers/web/archive", {send(chunked_header + chunk("abc") + "5\r\nde")});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Body body = engine.get_archive("web", "/data");
  std::string text;
  const Caught error = caught([&] {
    while (const auto piece = body.read()) text += piece->text();
  });
  CHECK(text == "abcde");
  CHECK(
      error.what ==
      "GET /v1.41/containers/web/archive: the answer ended early: 5 bytes came, and no last chunk");
}

TEST_CASE("chunked: an invalid chunk") {
  for (const char* bytes : {"xyz\r\nabc\r\n", "3\r\nabcX\r\n0\r\n\r\n", "-1\r\nabc\r\n",
                            "ffffffffffffffffff\r\nabc\r\n"}) {
    CAPTURE(bytes);
    const Caught error = caught([&] { archive_of(chunked_header + bytes); });
    CHECK(error.kind == ErrorKind::engine);
    CHECK(contains(error.what, "not valid HTTP"));
  }
}

TEST_CASE("chunked: an endless chunk header is read only up to a limit") {
  const Caught error =
      caught([&] { archive_of(chunked_header + "3;" + std::string(10 << 20, 'x')); });
  CHECK(error.kind == ErrorKind::engine);
}

TEST_CASE("Content-Length: complete, too short, too long") {
  CHECK(archive_of(headed("Content-Length: 3\r\n", "abc")) == "abc");
  CHECK(archive_of(headed("Content-Length: 0\r\n", "")).empty());
  // What follows the body is not a part of it.
  CHECK(archive_of(headed("Content-Length: 3\r\n", "abcdef")) == "abc");
  const Caught error = caught([&] { archive_of(headed("Content-Length: 10\r\n", "abc")); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(error.what ==
        "GET /v1.41/containers/web/archive: the answer ended early: 3 bytes came, 7 are missing");
}

TEST_CASE("Content-Length: invalid values are refused") {
  for (const char* fields : {"Content-Length: -1\r\n", "Content-Length: x\r\n",
                             "Content-Length: 1\r\nContent-Length: 2\r\n",
                             "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"}) {
    CAPTURE(fields);
    CHECK(caught([&] { archive_of(headed(fields, "abc")); }).kind == ErrorKind::engine);
  }
}

TEST_CASE("framed by closing: the end of the connection is the end of the body") {
  CHECK(archive_of(stream_header).empty());
  CHECK(archive_of(stream_header + "abc") == "abc");
  const std::string data = pattern(3'000'000);
  CHECK(archive_of(stream_header + data) == data);
}

TEST_CASE("an answer that should be small is read only up to a limit") {
  FakeEngine fake;
  fake.on("GET /info", {send(chunked_header), [](FakeConnection& connection) {
                          const std::string much = chunk(std::string(1 << 20, ' '));
                          for (int i = 0; i < 70; ++i) connection.send(much);
                        }});
  Engine engine(fake.socket_path(), patient(), nullptr);
  const Caught error = caught([&] { engine.info(); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(contains(error.what, "the answer is longer than 64.0 MiB"));
}

TEST_CASE("HTTP error: with JSON, without, and with nothing") {
  const auto inspect = [](const std::string& bytes) {
    FakeEngine fake;
    fake.on("GET /containers/web/json", {send(bytes)});
    Engine engine(fake.socket_path(), patient(), nullptr);
    return caught([&] { engine.inspect("web"); });
  };
  Caught error = inspect(answer(404, R"({"message":"No such container: web"})"));
  CHECK(error.kind == ErrorKind::container);
  CHECK(error.status == 404);
  CHECK(error.what == "GET /v1.41/containers/web/json: No such container: web (status 404)");
  CHECK(contains(error.hint, "docker ps"));

  error = inspect(answer(409, R"({"message":"Container web is paused"})"));
  CHECK(error.kind == ErrorKind::container);
  CHECK(error.status == 409);

  error = inspect(answer(404, "404 page not found\n", "text/plain"));
  CHECK(error.kind == ErrorKind::container);
  CHECK(error.status == 404);
  CHECK(error.what == "GET /v1.41/containers/web/json: 404 page not found (status 404)");
  CHECK(error.hint.empty());

  error = inspect("HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n");
  CHECK(error.kind == ErrorKind::container);
  CHECK(error.status == 409);
  CHECK(error.what == "GET /v1.41/containers/web/json: Conflict (status 409)");

  error = inspect(answer(500, "panic in the\nengine\n", "text/plain"));
  CHECK(error.kind == ErrorKind::engine);
  CHECK(error.status == 500);
  CHECK(contains(error.what, "panic in the\\nengine (status 500)"));
  CHECK(contains(error.hint, "engine's log"));

  error = inspect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
  CHECK(error.status == 503);
  CHECK(contains(error.what, "Service Unavailable (status 503)"));
}

TEST_CASE("HTTP error: a 404 for anything but a container is an engine error") {
  FakeEngine fake;
  fake.on("GET /exec/e1/json", {send(answer(404, R"({"message":"No such exec instance: e1"})"))});
  Engine engine(fake.socket_path(), patient(), nullptr);
  const Caught error = caught([&] { engine.inspect_exec("e1"); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(error.status == 404);
}

TEST_CASE("HTTP error: a body that is cut or endless does not hide the error") {
  FakeEngine fake;
  fake.on("GET /containers/cut/json",
          {send("HTTP/1.1 500 X\r\nContent-Length: 900\r\n\r\n{\"message\":\"cu")});
  fake.on("GET /containers/endless/json",
          {send("HTTP/1.1 500 X\r\n\r\n" + std::string(1 << 20, 'e')), hold()});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Caught error = caught([&] { engine.inspect("cut"); });
  CHECK(error.status == 500);
  CHECK(contains(error.what, "{\"message\":\"cu (status 500)"));
  error = caught([&] { engine.inspect("endless"); });
  CHECK(error.status == 500);
  CHECK(error.what.size() < 700);
}
