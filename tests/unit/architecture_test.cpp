// Checks the sources against the architecture: which room may include which, where a library's
// headers may be included, what only a service knows, and what only the guard may do.
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

namespace {

const fs::path root = BBA_SOURCE_DIR;

// Which rooms each room may include. In services/ each folder is a room of its own; what the
// others may see of them is in judge_services().
const std::map<std::string, std::set<std::string>> rooms = [] {
  std::map<std::string, std::set<std::string>> all{
      {"base", {}},
      {"wire", {"base"}},
      {"pipe", {"base"}},
      {"conf", {"base"}},
      {"docker", {"base", "wire", "pipe"}},
      {"store", {"base", "pipe"}},
      {"tree", {"base", "pipe"}},
      {"service", {"base", "wire", "pipe", "conf", "docker", "store", "tree"}},
      {"main", {"cli"}},
  };
  const auto above = [&all](const std::string& room, const std::string& other,
                            const std::set<std::string>& more = {}) {
    all[room] = all.at(other);
    all[room].insert(other);
    all[room].insert(more.begin(), more.end());
  };
  above("run", "service");
  above("capture", "run");
  above("restore", "run");
  above("services", "run", {"capture", "restore"});
  above("commands", "services");
  above("cli", "commands");
  return all;
}();

// The one place for the headers of each library; public headers carry none but the first two.
const std::map<std::string, std::string> libraries{
    {"fmt/", "include/bba/base/text.hpp"},
    {"nlohmann/", "include/bba/base/json.hpp"},
    {"archive.h", "src/pipe/"},
    {"archive_entry.h", "src/pipe/"},
    {"isa-l.h", "src/pipe/"},
    {"isa-l/", "src/pipe/"},
    {"openssl/", "src/pipe/"},
    {"zstd.h", "src/pipe/"},
    {"zstd_errors.h", "src/pipe/"},
    {"yaml-cpp/", "src/conf/"},
    {"boost/", "src/docker/"},
    {"CLI/", "src/cli/"},
};

const std::set<std::string> system_headers{
    "dirent.h",  "endian.h", "fcntl.h",  "grp.h",   "netdb.h",  "poll.h",   "pthread.h",
    "pwd.h",     "sched.h",  "signal.h", "spawn.h", "stdint.h", "stdlib.h", "string.h",
    "termios.h", "time.h",   "unistd.h", "errno.h", "limits.h", "stdio.h",  "fnmatch.h"};
constexpr std::array<std::string_view, 5> system_directories{"sys/", "linux/", "netinet/", "arpa/",
                                                             "net/"};

const std::set<std::string> ways_to_start_a_program{
    "fork",        "vfork",        "_Fork",     "clone3",     "execl",      "execlp",
    "execle",      "execv",        "execve",    "execvp",     "execvpe",    "fexecve",
    "posix_spawn", "posix_spawnp", "system",    "popen",      "wordexp",    "execveat",
    "SYS_fork",    "SYS_vfork",    "SYS_clone", "SYS_clone3", "SYS_execve", "SYS_execveat"};
constexpr std::string_view the_guard = "src/run/guard.cpp";

struct Source {
  std::string path;  // from the root of the repository
  std::string text;
};

std::string room_of(const std::string& path) {
  for (const std::string_view top : {"src/", "include/bba/"}) {
    if (!path.starts_with(top)) continue;
    const std::string rest = path.substr(top.size());
    const std::size_t slash = rest.find('/');
    return slash == rest.npos ? fs::path(rest).stem().string() : rest.substr(0, slash);
  }
  return "";
}

// The folder of services/ that a file is of, or "".
std::string service_of(const std::string& path) {
  constexpr std::string_view services = "src/services/";
  if (!path.starts_with(services)) return "";
  const std::string rest = path.substr(services.size());
  const std::size_t slash = rest.find('/');
  return slash == rest.npos ? "" : rest.substr(0, slash);
}

// The text without what a compiler skips or takes as it is: comments, strings, characters; and
// those strings and characters, without their quotes.
struct Lexed {
  std::string code;
  Lines strings;
  Lines characters;
};

Lexed lexed(std::string_view text) {
  Lexed result;
  std::string& code = result.code;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    const auto skip_past = [&](std::string_view end, std::size_t from) {
      const std::size_t found = rest.find(end, from);
      i += found == rest.npos ? rest.size() : found + end.size();
    };
    if (rest.starts_with("//")) {
      skip_past("\n", 2);
      code += '\n';
    } else if (rest.starts_with("/*")) {
      skip_past("*/", 2);
    } else if (rest.starts_with("R\"")) {
      const std::size_t open = rest.find('(');
      const std::size_t begin = i;
      const std::string close = ")" + std::string(rest.substr(2, open - 2)) + "\"";
      skip_past(close, open);
      result.strings.emplace_back(
          text.substr(begin + open + 1, i - begin - open - 1 - close.size()));
    } else if (rest.front() == '"' ||
               (rest.front() == '\'' &&
                (code.empty() || std::isalnum(static_cast<unsigned char>(code.back())) == 0))) {
      std::size_t end = 1;
      while (end < rest.size() && rest[end] != rest.front()) end += rest[end] == '\\' ? 2u : 1u;
      (rest.front() == '"' ? result.strings : result.characters)
          .emplace_back(rest.substr(1, end - 1));
      i += end + 1;
      code += ' ';
    } else {
      code += rest.front();
      ++i;
    }
  }
  return result;
}

void judge_programs(const Source& source, Lines& complaints) {
  if (source.path == the_guard) return;
  const std::string code = lexed(source.text).code;
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
  for (std::size_t i = 0; i < code.size();) {
    if (!is_word(code[i])) {
      ++i;
      continue;
    }
    const std::size_t begin = i;
    while (i < code.size() && is_word(code[i])) ++i;
    const std::string word = code.substr(begin, i - begin);
    const bool is_member = begin > 0 && (code[begin - 1] == '.' || code[begin - 1] == '>');
    const bool is_scope = code.compare(i, 2, "::") == 0;  // boost::system::error_code
    if (!is_member && !is_scope && ways_to_start_a_program.contains(word)) {
      complaints.push_back(source.path + ": " + word + ": only the guard starts a program");
    }
  }
}

// Services include nothing of each other but bba/services/files.hpp, which they fall back to; only
// the registry knows them all, and who is above sees the registry alone.
std::string seen_of_services(const Source& source, const std::string& header) {
  const bool is_registry = source.path == "src/services/registry.cpp";
  const bool is_service = room_of(source.path) == "services" && !is_registry;
  if (header == "bba/services/registry.hpp") return is_service ? "a service knows no other" : "";
  if (header == "bba/services/files.hpp") {
    return is_service || is_registry ? "" : "services are seen through the registry alone";
  }
  return is_registry ? "" : "no service sees the folder of another";
}

void judge_own_header(const Source& source, const std::string& header, Lines& complaints) {
  const auto complain = [&](const std::string& what) {
    complaints.push_back(source.path + ": " + header + ": " + what);
  };
  const std::string room = room_of(source.path);
  if (header.starts_with("bba/")) {
    const std::string seen = room_of("include/" + header);
    if (seen != room && !rooms.at(room).contains(seen)) {
      complain("room " + room + " may not see room " + seen);
    } else if (seen == "services") {
      const std::string fault = seen_of_services(source, header);
      if (!fault.empty()) complain(fault);
    }
    return;
  }
  if (source.path.starts_with("include/"))
    return complain("a public header includes a private one");
  if (header.find('/') == header.npos) return;  // beside the source
  // By its path below src/.
  if (header.find("..") != header.npos || room_of("src/" + header) != room) {
    return complain("a private header of another room");
  }
  const std::string service = service_of("src/" + header);
  if (service != service_of(source.path)) {
    const std::string fault = seen_of_services(source, header);
    if (!fault.empty()) complain(fault);
  }
}

// Code that sends nothing and waits for nothing: it builds requests, reads answers and checks
// streams.
bool is_pure(const std::string& path) {
  if (service_of(path).empty()) return false;
  const std::string name = fs::path(path).stem().string();
  static const std::set<std::string> names{"server", "client", "compare_keys", "aof_count"};
  return names.contains(name) || name.ends_with("_check") || name.ends_with("_found");
}

void judge_purity(const Source& source, const std::string& header, Lines& complaints) {
  if (!is_pure(source.path)) return;
  const std::string room = room_of("include/" + header);
  if (header == "bba/docker/engine.hpp" || room == "run" || room == "capture" ||
      room == "restore") {
    complaints.push_back(source.path + ": " + header + ": what is pure talks to no engine");
  }
}

// Which class a module is of, and what an artifact is called, only the services know.
void judge_names(const Source& source, Lines& complaints) {
  static const std::set<std::string> judged{"conf",    "store",   "tree",     "service", "run",
                                            "capture", "restore", "commands", "cli",     "main"};
  if (!judged.contains(room_of(source.path))) return;
  static const std::set<std::string> kinds{
      "sql", "tar", "rdb-directory", "objects", "host-directory", "raft-snapshot", "mysql-dump"};
  const auto complain = [&](const std::string& literal, const std::string& what) {
    complaints.push_back(source.path + ": " + literal + ": only its service knows the name of " +
                         what);
  };
  const auto is_letter = [](const std::string& text) {
    return text.size() == 1 && text[0] >= 'A' && text[0] <= 'H';
  };
  const Lexed literals = lexed(source.text);
  for (std::size_t i = 0; i < literals.characters.size(); ++i) {
    const std::string& one = literals.characters[i];
    // All letters, as a range.
    const bool is_range =
        one == "A" && i + 1 < literals.characters.size() && literals.characters[i + 1] == "Z";
    if (is_letter(one) && !is_range) complain("'" + one + "'", "a class");
  }
  for (const std::string& one : literals.strings) {
    const std::size_t option = one.find("--class ");
    const bool names_one = option != one.npos && is_letter(one.substr(option + 8, 1)) &&
                           std::isalnum(static_cast<unsigned char>((one + "  ")[option + 9])) == 0;
    if (is_letter(one) || names_one) complain('"' + one + '"', "a class");
    if (kinds.contains(one)) complain('"' + one + '"', "an artifact kind");
  }
}

bool is_system_header(const std::string& header) {
  const bool of_the_language = header.find_first_of("./") == header.npos;
  return of_the_language || system_headers.contains(header) ||
         std::any_of(system_directories.begin(), system_directories.end(),
                     [&](std::string_view directory) { return header.starts_with(directory); });
}

void judge_library_header(const Source& source, const std::string& header, Lines& complaints) {
  const auto complain = [&](const std::string& what) {
    complaints.push_back(source.path + ": <" + header + ">: " + what);
  };
  if (is_system_header(header)) {
    if (header == "spawn.h" && source.path != the_guard)
      complain("only the guard starts a program");
    return;
  }
  if (header.starts_with("boost/process")) return complain("only the guard starts a program");
  for (const auto& [library, place] : libraries) {
    if (!header.starts_with(library)) continue;
    if (!source.path.starts_with(place)) complain("its place is " + place);
    return;
  }
  complain("no room owns a library with this header");
}

struct Include {
  std::string header;
  bool of_library = false;  // in angle brackets
};

std::vector<Include> includes_of(const Source& source) {
  std::vector<Include> all;
  std::istringstream lines(source.text);
  for (std::string line; std::getline(lines, line);) {
    std::erase_if(line, [](unsigned char c) { return std::isspace(c) != 0; });
    constexpr std::string_view include = "#include";
    if (!line.starts_with(include) || line.size() < include.size() + 2) continue;
    const bool of_library = line[include.size()] == '<';
    const std::size_t begin = include.size() + 1;
    all.push_back(
        {line.substr(begin, line.find(of_library ? '>' : '"', begin) - begin), of_library});
  }
  return all;
}

Lines judge(const Source& source) {
  Lines complaints;
  if (!rooms.contains(room_of(source.path))) {
    return {source.path + ": there is no room \"" + room_of(source.path) + "\""};
  }
  for (const Include& one : includes_of(source)) {
    if (one.of_library) {
      judge_library_header(source, one.header, complaints);
    } else {
      judge_own_header(source, one.header, complaints);
      judge_purity(source, one.header, complaints);
    }
  }
  judge_programs(source, complaints);
  judge_names(source, complaints);
  return complaints;
}

// The public headers that no room but their own includes, nor a public header that another does.
Lines only_private(const std::vector<Source>& all) {
  const auto room = [](const std::string& path) {
    const std::string service = service_of(path);
    return service.empty() ? room_of(path) : room_of(path) + "/" + service;
  };
  std::set<std::string> used;
  for (bool added = true; added;) {
    const std::size_t before = used.size();
    for (const Source& source : all) {
      for (const Include& one : includes_of(source)) {
        const std::string path = "include/" + one.header;
        if (!one.header.starts_with("bba/")) continue;
        if (room(source.path) != room(path) || used.contains(source.path)) used.insert(path);
      }
    }
    added = used.size() > before;
  }
  Lines unused;
  for (const Source& source : all) {
    if (source.path.starts_with("include/") && !used.contains(source.path)) {
      unused.push_back(source.path);
    }
  }
  return unused;
}

std::vector<Source> sources() {
  std::vector<Source> all;
  for (const char* top : {"src", "include"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path());
      std::ostringstream text;
      text << file.rdbuf();
      all.push_back({fs::relative(entry.path(), root).string(), text.str()});
    }
  }
  return all;
}

}  // namespace

TEST_CASE("every source follows the rules of the architecture") {
  const std::vector<Source> all = sources();
  CHECK(all.size() > 40);
  for (const Source& source : all) {
    for (const std::string& complaint : judge(source)) FAIL_CHECK(complaint);
  }
}

TEST_CASE("everything in src/ and include/ is a source or a header, in its place") {
  for (const Source& source : sources()) {
    const std::string extension = fs::path(source.path).extension().string();
    const bool in_place = source.path.starts_with("include/")
                              ? extension == ".hpp"
                              : extension == ".cpp" || extension == ".hpp";
    CHECK_MESSAGE(in_place, source.path);
  }
}

TEST_CASE("every include names a file that exists") {
  for (const Source& source : sources()) {
    for (const Include& one : includes_of(source)) {
      if (one.of_library) continue;
      const bool is_there = one.header.starts_with("bba/")
                                ? fs::exists(root / "include" / one.header)
                            : one.header.find('/') != one.header.npos
                                ? fs::exists(root / "src" / one.header)
                                : fs::exists((root / source.path).parent_path() / one.header);
      CHECK_MESSAGE(is_there, source.path, ": ", one.header);
    }
  }
}

TEST_CASE("every public header is included by another room; the others stand beside their source") {
  for (const std::string& path : only_private(sources())) {
    FAIL_CHECK(path << ": no other room includes it");
  }
  CHECK(only_private({{"include/bba/pipe/a.hpp", ""},
                      {"include/bba/pipe/b.hpp", "#include \"bba/pipe/a.hpp\"\n"},
                      {"src/store/x.cpp", "#include \"bba/pipe/b.hpp\"\n"}})
            .empty());
  CHECK(only_private(
            {{"include/bba/pipe/a.hpp", ""}, {"src/pipe/a.cpp", "#include \"bba/pipe/a.hpp\"\n"}})
            .size() == 1);
  CHECK(only_private({{"include/bba/services/files.hpp", ""},
                      {"src/services/vault/x.cpp", "#include \"bba/services/files.hpp\"\n"}})
            .empty());
}

// So the compiler has seen each of these headers alone; the few others are compiled by themselves.
TEST_CASE("a source includes its own header first") {
  int own = 0;
  for (const Source& source : sources()) {
    if (!source.path.starts_with("src/") || !source.path.ends_with(".cpp")) continue;
    const fs::path below = fs::path(source.path.substr(4)).replace_extension(".hpp");
    const bool is_public = fs::exists(root / "include/bba" / below);
    if (!is_public && !fs::exists(root / "src" / below)) continue;
    ++own;
    const std::vector<Include> includes = includes_of(source);
    REQUIRE_MESSAGE(!includes.empty(), source.path);
    const std::string& first = includes.front().header;
    const bool is_first = is_public ? first == "bba/" + below.string()
                                    : first == below.filename().string() || first == below.string();
    CHECK_MESSAGE(is_first, source.path);
  }
  CHECK(own > 80);
}

TEST_CASE("every header has an include guard") {
  for (const Source& source : sources()) {
    if (!source.path.ends_with(".hpp")) continue;
    CHECK_MESSAGE(source.text.find("\n#pragma once\n") != source.text.npos, source.path);
  }
}

TEST_CASE("the repository's top level has only the agreed files and directories") {
  const std::set<std::string> agreed{"CMakeLists.txt", "src",  "include",  "tests",
                                     "fixtures",       "docs", "README.md"};
  for (const auto& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    CHECK_MESSAGE((name.starts_with('.') || agreed.contains(name)), name);
  }
}

TEST_CASE("each kind of violation is found, however it is written") {
  const auto complaints = [](const char* path, const char* text) { return judge({path, text}); };
  const std::vector<std::pair<const char*, const char*>> breaches{
      {"src/base/x.cpp", "#include \"bba/wire/frame.hpp\"\n"},
      {"src/pipe/x.cpp", "#include \"bba/store/lock.hpp\"\n"},
      {"src/pipe/x.cpp", "#include \"bba/wire/frame.hpp\"\n"},
      {"src/store/x.cpp", "#include \"bba/tree/host_path.hpp\"\n"},
      {"src/tree/x.cpp", "#include \"bba/docker/engine.hpp\"\n"},
      {"include/bba/conf/x.hpp", "  #  include   \"bba/wire/message.hpp\"  // why\n"},
      {"src/docker/x.cpp", "#include \"bba/conf/config.hpp\"\n"},
      {"src/service/x.cpp", "#include \"bba/run/session.hpp\"\n"},
      {"src/run/x.cpp", "#include \"bba/capture/execute.hpp\"\n"},
      {"src/capture/x.cpp", "#include \"bba/restore/scratch.hpp\"\n"},
      {"src/restore/x.cpp", "#include \"bba/capture/execute.hpp\"\n"},
      {"src/restore/x.cpp", "#include \"bba/services/registry.hpp\"\n"},
      {"src/services/vault/x.cpp", "#include \"bba/commands/plan.hpp\"\n"},
      {"src/services/vault/x.cpp", "#include \"services/redis/server.hpp\"\n"},
      {"src/services/vault/x.cpp", "#include \"bba/services/registry.hpp\"\n"},
      {"include/bba/services/files.hpp", "#include \"bba/services/registry.hpp\"\n"},
      {"src/commands/x.cpp", "#include \"bba/services/files.hpp\"\n"},
      {"src/commands/x.cpp", "#include \"services/redis/server.hpp\"\n"},
      {"src/commands/x.cpp", "#include \"bba/cli/options.hpp\"\n"},
      {"src/cli/x.cpp", "#include \"bba/services/files.hpp\"\n"},
      {"src/main.cpp", "#include \"bba/commands/backup.hpp\"\n"},
      {"src/commands/x.cpp", "#include \"bba/nowhere/x.hpp\"\n"},
      {"src/commands/x.cpp", "#include \"../docker/connection.hpp\"\n"},
      {"src/commands/x.cpp", "#include \"restore/put_tar.hpp\"\n"},
      {"src/commands/x.cpp", "#include \"commands/../restore/put_tar.hpp\"\n"},
      {"include/bba/conf/x.hpp", "#include \"yaml.hpp\"\n"},
      {"src/nowhere/x.cpp", ""},
      {"src/services/redis/server.cpp", "#include \"bba/docker/engine.hpp\"\n"},
      {"src/services/redis/server.hpp", "#include \"bba/run/session.hpp\"\n"},
      {"src/services/minio/client.cpp", "#include \"bba/capture/execute.hpp\"\n"},
      {"src/services/vault/x_check.cpp", "#include \"bba/restore/scratch.hpp\"\n"},
      {"src/services/postgres/x_found.cpp", "#include \"bba/docker/engine.hpp\"\n"},
      {"src/commands/x.cpp", "if (target.module_class == 'G') f();"},
      {"include/bba/service/x.hpp", "char module_class = 'E';"},
      {"src/restore/x.cpp", "if (manifest.module_class == \"B\") f();"},
      {"src/commands/x.cpp", "if (record.kind == \"rdb-directory\") f();"},
      {"src/store/x.cpp", "record.kind = std::string(\"tar\");"},
      {"src/service/x.cpp", "throw Error(kind, what, \"take its files with --class E\");"},
      {"src/commands/x.cpp", "#include <fmt/core.h>\n"},
      {"src/base/text.cpp", "#include <fmt/chrono.h>\n"},
      {"src/commands/x.cpp", "#include <nlohmann/json.hpp>\n"},
      {"src/commands/x.cpp", "#include <boost/asio/io_context.hpp>\n"},
      {"include/bba/docker/engine.hpp", "#include <boost/beast/http.hpp>\n"},
      {"src/conf/x.cpp", "#include <zstd.h>\n"},
      {"src/capture/x.cpp", "#include <archive.h>\n"},
      {"src/store/x.cpp", "#include <openssl/evp.h>\n"},
      {"src/services/vault/x.cpp", "#include <yaml-cpp/yaml.h>\n"},
      {"src/commands/x.cpp", "#include <CLI/CLI.hpp>\n"},
      {"src/pipe/x.cpp", "#include <zlib.h>\n"},
      {"src/pipe/x.cpp", "#include <absl/strings/str_cat.h>\n"},
      {"src/docker/x.cpp", "#include <boost/process.hpp>\n"},
      {"src/run/x.cpp", "#include <spawn.h>\n"},
      {"src/run/x.cpp", "void f() { ::fork(); }"},
      {"src/run/guard2.cpp", "int x = posix_spawnp ( a );"},
      {"src/cli/x.cpp", "auto f = &std::system;"},
      {"src/cli/x.cpp", "/* \" */ popen(\"ls\", \"r\");"},
      {"include/bba/run/x.hpp", "inline void f() { const int n = 1'000; execvp(a, b); }"},
      {"src/run/x.cpp", "char q = '\"'; fork();"},
      {"src/run/x.cpp", "auto s = R\"x(\")x\"; vfork();"},
      {"src/run/x.cpp", "syscall(SYS_execve, a, b, c);"},
  };
  for (const auto& breach : breaches) {
    CAPTURE(breach.first);
    CAPTURE(breach.second);
    CHECK(complaints(breach.first, breach.second).size() == 1);
  }
}

TEST_CASE("allowed code passes") {
  const std::vector<std::pair<const char*, const char*>> allowed{
      {"src/store/x.cpp", "#include \"bba/pipe/digest.hpp\"\n"},
      {"src/docker/x.cpp", "#include \"bba/wire/frame.hpp\"\n#include \"bba/pipe/stage.hpp\"\n"},
      {"src/service/x.cpp",
       "#include \"bba/conf/config.hpp\"\n#include \"bba/wire/message.hpp\"\n"},
      {"src/conf/x.cpp", "#include \"yaml.hpp\"\n#include <yaml-cpp/yaml.h>\n"},
      {"src/commands/verify/x.cpp", "#include \"commands/publish_proof.hpp\"\n"},
      {"src/commands/x.cpp",
       "#include \"bba/services/registry.hpp\"\n#include \"bba/restore/scratch.hpp\"\n"},
      {"src/services/vault/x.cpp",
       "#include \"server.hpp\"\n#include \"bba/services/files.hpp\"\n"
       "#include \"services/vault/server.hpp\"\n#include \"bba/docker/engine.hpp\"\n"},
      {"src/services/registry.cpp",
       "#include \"bba/services/registry.hpp\"\n#include \"services/redis/redis.hpp\"\n"},
      {"src/services/files/files.cpp", "#include \"bba/services/files.hpp\"\n"},
      {"src/services/vault/x.cpp", "char letter() { return 'C'; } auto k = \"raft-snapshot\";"},
      {"src/commands/x.cpp", "// class 'E'\nauto hint = \"or choose one with --class CLASS\";"},
      {"src/store/x.cpp", "auto name = file + \".tar\"; if (c >= 'A' && c <= 'Z') f();"},
      {"include/bba/base/text.hpp", "#include <fmt/format.h>\n"},
      {"src/docker/x.cpp", "#include <boost/asio/io_context.hpp>\n#include <sys/un.h>\n"},
      {"src/run/guard.cpp", "#include <spawn.h>\nint x = posix_spawn(a);"},
      {"src/run/x.cpp", "// fork() is for the guard\n/* system() too */ auto s = \"popen(\";"},
      {"src/run/x.cpp",
       "throw system_error(kind, what, errno); exec(a); engine.system(x); "
       "boost::system::error_code e;"},
      {"src/run/x.cpp", "auto s = R\"(fork();)\"; const int n = 1'000'000; auto c = '\\'';"},
      {"src/run/x.cpp", "// #include <boost/asio.hpp>\n"},
  };
  for (const auto& file : allowed) {
    CAPTURE(file.first);
    CAPTURE(file.second);
    CHECK(judge({file.first, file.second}).empty());
  }
}
