// Holds the sources to the plan of the house: which room may see which, where a library's headers
// may stand, and what only the guard may do.
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

// What each room may see beside itself.
const std::map<std::string, std::set<std::string>> rooms{
    {"base", {}},
    {"wire", {"base"}},
    {"pipe", {"base"}},
    {"store", {"base"}},
    {"conf", {"base"}},
    {"docker", {"base", "wire"}},
    {"classes", {"base", "conf", "wire"}},
    {"ops", {"base", "wire", "pipe", "store", "conf", "docker", "classes"}},
    {"cli", {"base", "wire", "pipe", "store", "conf", "docker", "classes", "ops"}},
    {"main", {"cli"}},
};

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
constexpr std::string_view the_guard = "src/ops/guard.cpp";

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

// The text without what a compiler skips or takes as it is: comments, strings, characters.
std::string code_of(std::string_view text) {
  std::string code;
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
      skip_past(")" + std::string(rest.substr(2, open - 2)) + "\"", open);
    } else if (rest.front() == '"' ||
               (rest.front() == '\'' &&
                (code.empty() || std::isalnum(static_cast<unsigned char>(code.back())) == 0))) {
      std::size_t end = 1;
      while (end < rest.size() && rest[end] != rest.front()) end += rest[end] == '\\' ? 2u : 1u;
      i += end + 1;
      code += ' ';
    } else {
      code += rest.front();
      ++i;
    }
  }
  return code;
}

void judge_programs(const Source& source, Lines& complaints) {
  if (source.path == the_guard) return;
  const std::string code = code_of(source.text);
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

void judge_own_header(const Source& source, const std::string& header, Lines& complaints) {
  const auto complain = [&](const std::string& what) {
    complaints.push_back(source.path + ": " + header + ": " + what);
  };
  const std::string room = room_of(source.path);
  if (header.starts_with("bba/")) {
    const std::string seen = room_of("include/" + header);
    if (seen != room && !rooms.at(room).contains(seen)) {
      complain("room " + room + " may not see room " + seen);
    }
  } else if (header.find('/') != header.npos) {
    complain("a header of another directory, by a path of its own");
  } else if (source.path.starts_with("include/")) {
    complain("a public header includes a private one");
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

Lines judge(const Source& source) {
  Lines complaints;
  if (!rooms.contains(room_of(source.path))) {
    return {source.path + ": there is no room \"" + room_of(source.path) + "\""};
  }
  std::istringstream lines(source.text);
  for (std::string line; std::getline(lines, line);) {
    std::erase_if(line, [](unsigned char c) { return std::isspace(c) != 0; });
    constexpr std::string_view include = "#include";
    if (!line.starts_with(include) || line.size() < include.size() + 2) continue;
    const char open = line[include.size()];
    const std::size_t begin = include.size() + 1;
    const std::string header =
        line.substr(begin, line.find(open == '<' ? '>' : '"', begin) - begin);
    if (open == '<') {
      judge_library_header(source, header, complaints);
    } else {
      judge_own_header(source, header, complaints);
    }
  }
  judge_programs(source, complaints);
  return complaints;
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

TEST_CASE("every source keeps to the plan of the house") {
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

TEST_CASE("what an include names is there") {
  for (const Source& source : sources()) {
    std::istringstream lines(source.text);
    for (std::string line; std::getline(lines, line);) {
      constexpr std::string_view include = "#include \"";
      if (!line.starts_with(include)) continue;
      const std::string header = line.substr(include.size(), line.rfind('"') - include.size());
      const fs::path there = header.starts_with("bba/")
                                 ? root / "include" / header
                                 : (root / source.path).parent_path() / header;
      CHECK_MESSAGE(fs::exists(there), source.path, ": ", header);
    }
  }
}

// So the compiler has seen each of these headers alone; the few others are compiled by themselves.
TEST_CASE("a source includes its own header first") {
  int own = 0;
  for (const Source& source : sources()) {
    if (!source.path.starts_with("src/") || !source.path.ends_with(".cpp")) continue;
    const std::string header =
        "bba/" + source.path.substr(4, source.path.size() - 4 - std::string(".cpp").size()) +
        ".hpp";
    if (!fs::exists(root / "include" / header)) continue;
    ++own;
    const std::size_t first = source.text.find("#include");
    const bool is_first =
        source.text.compare(first, header.size() + 11, "#include \"" + header + "\"") == 0;
    CHECK_MESSAGE(is_first, source.path);
  }
  CHECK(own > 40);
}

TEST_CASE("a public header is guarded") {
  for (const Source& source : sources()) {
    if (!source.path.ends_with(".hpp")) continue;
    CHECK_MESSAGE(source.text.find("\n#pragma once\n") != source.text.npos, source.path);
  }
}

TEST_CASE("the visible top level is the agreed one") {
  const std::set<std::string> agreed{"CMakeLists.txt", "src",  "include",  "tests",
                                     "fixtures",       "docs", "README.md"};
  for (const auto& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    CHECK_MESSAGE((name.starts_with('.') || agreed.contains(name)), name);
  }
}

TEST_CASE("a breach is found, whatever it looks like") {
  const auto complaints = [](const char* path, const char* text) { return judge({path, text}); };
  const std::vector<std::pair<const char*, const char*>> breaches{
      {"src/base/x.cpp", "#include \"bba/wire/frame.hpp\"\n"},
      {"src/pipe/x.cpp", "#include \"bba/store/lock.hpp\"\n"},
      {"src/store/x.cpp", "#include \"bba/pipe/digest.hpp\"\n"},
      {"include/bba/conf/x.hpp", "  #  include   \"bba/wire/message.hpp\"  // why\n"},
      {"src/classes/x.cpp", "#include \"bba/docker/engine.hpp\"\n"},
      {"src/docker/x.cpp", "#include \"bba/conf/config.hpp\"\n"},
      {"src/ops/x.cpp", "#include \"bba/cli/options.hpp\"\n"},
      {"src/main.cpp", "#include \"bba/ops/backup.hpp\"\n"},
      {"src/ops/x.cpp", "#include \"bba/nowhere/x.hpp\"\n"},
      {"src/ops/x.cpp", "#include \"../docker/connection.hpp\"\n"},
      {"include/bba/conf/x.hpp", "#include \"yaml.hpp\"\n"},
      {"src/nowhere/x.cpp", ""},
      {"src/ops/x.cpp", "#include <fmt/core.h>\n"},
      {"src/base/text.cpp", "#include <fmt/chrono.h>\n"},
      {"src/ops/x.cpp", "#include <nlohmann/json.hpp>\n"},
      {"src/ops/x.cpp", "#include <boost/asio/io_context.hpp>\n"},
      {"include/bba/docker/engine.hpp", "#include <boost/beast/http.hpp>\n"},
      {"src/conf/x.cpp", "#include <zstd.h>\n"},
      {"src/ops/x.cpp", "#include <archive.h>\n"},
      {"src/store/x.cpp", "#include <openssl/evp.h>\n"},
      {"src/classes/x.cpp", "#include <yaml-cpp/yaml.h>\n"},
      {"src/ops/x.cpp", "#include <CLI/CLI.hpp>\n"},
      {"src/pipe/x.cpp", "#include <zlib.h>\n"},
      {"src/pipe/x.cpp", "#include <absl/strings/str_cat.h>\n"},
      {"src/docker/x.cpp", "#include <boost/process.hpp>\n"},
      {"src/ops/x.cpp", "#include <spawn.h>\n"},
      {"src/ops/x.cpp", "void f() { ::fork(); }"},
      {"src/ops/guard2.cpp", "int x = posix_spawnp ( a );"},
      {"src/cli/x.cpp", "auto f = &std::system;"},
      {"src/cli/x.cpp", "/* \" */ popen(\"ls\", \"r\");"},
      {"include/bba/ops/x.hpp", "inline void f() { const int n = 1'000; execvp(a, b); }"},
      {"src/ops/x.cpp", "char q = '\"'; fork();"},
      {"src/ops/x.cpp", "auto s = R\"x(\")x\"; vfork();"},
      {"src/ops/x.cpp", "syscall(SYS_execve, a, b, c);"},
  };
  for (const auto& breach : breaches) {
    CAPTURE(breach.first);
    CAPTURE(breach.second);
    CHECK(complaints(breach.first, breach.second).size() == 1);
  }
}

TEST_CASE("what is allowed is let pass") {
  const std::vector<std::pair<const char*, const char*>> allowed{
      {"src/ops/x.cpp", "#include \"bba/store/lock.hpp\"\n#include \"bba/pipe/digest.hpp\"\n"},
      {"src/classes/x.cpp",
       "#include \"bba/conf/config.hpp\"\n#include \"bba/wire/message.hpp\"\n"},
      {"src/conf/x.cpp", "#include \"yaml.hpp\"\n#include <yaml-cpp/yaml.h>\n"},
      {"include/bba/base/text.hpp", "#include <fmt/format.h>\n"},
      {"src/docker/x.cpp", "#include <boost/asio/io_context.hpp>\n#include <sys/un.h>\n"},
      {"src/ops/guard.cpp", "#include <spawn.h>\nint x = posix_spawn(a);"},
      {"src/ops/x.cpp", "// fork() is for the guard\n/* system() too */ auto s = \"popen(\";"},
      {"src/ops/x.cpp",
       "throw system_error(kind, what, errno); exec(a); engine.system(x); "
       "boost::system::error_code e;"},
      {"src/ops/x.cpp", "auto s = R\"(fork();)\"; const int n = 1'000'000; auto c = '\\'';"},
      {"src/ops/x.cpp", "// #include <boost/asio.hpp>\n"},
  };
  for (const auto& file : allowed) {
    CAPTURE(file.first);
    CAPTURE(file.second);
    CHECK(judge({file.first, file.second}).empty());
  }
}
