// Container names in a runbook: what people type after docker exec, logs, inspect and restart.
#include <algorithm>
#include <array>
#include <set>

#include "bba/base/error.hpp"
#include "bba/base/fd.hpp"
#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "bba/conf/platform.hpp"
#include "files.hpp"
#include "names.hpp"
#include "yaml.hpp"

namespace bba::conf {
namespace {

// The options that take a value, by their letters and by their names; all others are switches.
struct Verb {
  std::string_view name;
  std::string_view letters;
  std::vector<std::string_view> names;
};

const Verb docker_itself{
    "docker", "cHl", {"config", "context", "host", "log-level", "tlscacert", "tlscert", "tlskey"}};
const std::array verbs{
    Verb{"exec", "euw", {"detach-keys", "env", "env-file", "user", "workdir"}},
    Verb{"logs", "n", {"since", "tail", "until"}},
    Verb{"inspect", "f", {"format"}},
    Verb{"restart", "st", {"signal", "time", "timeout"}},
};

// Words as a shell sees them, on one line (or several joined by backslashes) and up to a backtick,
// which ends code in prose.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  // Empty at the end of the command, or after more words than a command has.
  std::string next() {
    if (++count_ > 32) return {};
    skip_blanks();
    std::string word;
    char quote = 0;
    while (!rest_.empty() && rest_.front() != '\n' && rest_.front() != '\r') {
      const char c = rest_.front();
      if (quote == 0 && ends_word(c)) break;
      rest_.remove_prefix(1);
      if (quote == 0 && (c == '\'' || c == '"')) {
        quote = c;
      } else if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    }
    // name<n>: a placeholder, not a name with a redirection.
    if (!word.empty() && rest_.starts_with('<')) word += '<';
    return word;
  }

 private:
  static bool ends_word(char c) {
    return std::string_view(" \t`;|&()<>").find(c) != std::string_view::npos;
  }

  void skip_blanks() {
    for (;;) {
      const std::size_t blanks = std::min(rest_.find_first_not_of(" \t"), rest_.size());
      rest_.remove_prefix(blanks);
      if (rest_.starts_with("\\\r\n")) {
        rest_.remove_prefix(3);
      } else if (rest_.starts_with("\\\n")) {
        rest_.remove_prefix(2);
      } else {
        return;
      }
    }
  }

  std::string_view rest_;
  int count_ = 0;
};

// The first word that is not an option of `verb`, nor the value of one.
std::string argument_of(const Verb& verb, Words& words) {
  for (;;) {
    const std::string word = words.next();
    if (!word.starts_with('-') || word == "-") return word;
    if (word.starts_with("--")) {
      const std::string_view name = std::string_view(word).substr(2);
      // docker inspect also shows images, volumes and networks.
      if (name == "type" && words.next() != "container") return {};
      if (name.starts_with("type=") && name != "type=container") return {};
      if (std::find(verb.names.begin(), verb.names.end(), name) != verb.names.end()) words.next();
      continue;
    }
    // -itu NAME: the first letter that takes a value takes the rest of the word or, at its end, the
    // next.
    const std::size_t taker = word.find_first_of(verb.letters, 1);
    if (taker + 1 == word.size()) words.next();
  }
}

std::string container_after_docker(std::string_view text) {
  Words words(text);
  std::string word = argument_of(docker_itself, words);
  if (word == "container") word = words.next();
  const auto verb =
      std::find_if(verbs.begin(), verbs.end(), [&](const Verb& each) { return each.name == word; });
  if (verb == verbs.end()) return {};
  std::string name = argument_of(*verb, words);
  // The end of a sentence.
  while (!name.empty() && std::string_view(".,:!?").find(name.back()) != std::string_view::npos) {
    name.pop_back();
  }
  return valid_container_name(name) ? name : std::string();
}

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

}  // namespace

std::vector<std::string> runbook_containers(const std::string& root, const std::string& id) {
  require_module_id(id);
  const std::string path = root + "/modules/" + id + "/runbook.md";
  if (!exists(path)) return {};
  return containers_in_runbook(read_small_file(path, yaml::max_file_bytes, ErrorKind::config));
}

std::vector<std::string> containers_in_runbook(std::string_view text) {
  constexpr std::string_view docker = "docker";
  constexpr std::size_t longest_command = 1024;
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (std::size_t at = text.find(docker); at != text.npos; at = text.find(docker, at + 1)) {
    const std::size_t after = at + docker.size();
    if (at > 0 && is_word_character(text[at - 1])) continue;
    if (std::string_view(" \t\\").find(text.substr(after, 1)) == text.npos) continue;
    const std::string name = container_after_docker(text.substr(after, longest_command));
    if (!name.empty() && seen.insert(name).second) names.push_back(name);
  }
  return names;
}

}  // namespace bba::conf
