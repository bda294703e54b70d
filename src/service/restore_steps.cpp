#include "bba/service/restore_steps.hpp"

#include <algorithm>
#include <array>

#include "bba/base/error.hpp"
#include "bba/base/path.hpp"
#include "bba/base/text.hpp"

namespace bba::service {

namespace {

// With a backslash before each of the characters that mean something.
std::string escaped(std::string_view text, std::string_view meaningful) {
  std::string out;
  for (const char c : text) {
    if (meaningful.find(c) != meaningful.npos) out += '\\';
    out += c;
  }
  return out;
}

// `text` as a basic regular expression between slashes that matches it alone.
std::string sed_literal(std::string_view text) {
  return escaped(text, "\\/.[]*^$");
}

// The same for the replacement.
std::string sed_replacement(std::string_view text) {
  return escaped(text, "\\/&");
}

std::string sed_script(const LineRewrite& rewrite) {
  std::string with = sed_replacement(rewrite.instead.front());
  for (std::size_t i = 1; i < rewrite.instead.size(); ++i) {
    with += "\\1" + sed_replacement(rewrite.instead[i]);
  }
  return fmt::format("1,/^{}/s/^{}\\(.*\\){}$/{}/", sed_literal(rewrite.until),
                     sed_literal(rewrite.prefix), sed_literal(rewrite.suffix), with);
}

// --- lines that are rewritten as they pass

class RewriteStage : public pipe::Stage {
 public:
  RewriteStage(LineRewrite rewrite, pipe::Stage& next)
      : rewrite_(std::move(rewrite)), next_(next) {}

  void write(const Chunk& chunk) override {
    if (done_) {
      next_.write(chunk);
      return;
    }
    line_ += chunk.text();
    std::string passed;
    std::string_view rest = line_;
    while (!done_) {
      const std::size_t end = rest.find('\n');
      if (end == rest.npos) break;
      const std::string_view line = rest.substr(0, end);
      passed += rewritten(line) + '\n';
      done_ = line.starts_with(rewrite_.until);
      rest.remove_prefix(end + 1);
    }
    done_ = done_ || rest.size() > longest_line;
    if (done_) passed += rest;
    line_ = done_ ? std::string() : std::string(rest);
    if (!passed.empty()) next_.write(Chunk::copy_of(passed));
  }

  void finish() override {
    if (!line_.empty()) next_.write(Chunk::copy_of(rewritten(line_)));
    next_.finish();
  }

 private:
  // Longer than any line that is rewritten.
  static constexpr std::size_t longest_line = 64 * 1024;

  std::string rewritten(std::string_view line) const {
    const std::size_t least = rewrite_.prefix.size() + rewrite_.suffix.size();
    if (line.size() < least || !line.starts_with(rewrite_.prefix) ||
        !line.ends_with(rewrite_.suffix)) {
      return std::string(line);
    }
    const std::string_view between = line.substr(rewrite_.prefix.size(), line.size() - least);
    std::string out = rewrite_.instead.front();
    for (std::size_t i = 1; i < rewrite_.instead.size(); ++i) {
      out.append(between).append(rewrite_.instead[i]);
    }
    return out;
  }

  LineRewrite rewrite_;
  pipe::Stage& next_;
  std::string line_;  // the beginning of one that is not complete
  bool done_ = false;
};

// --- steps

class RequireVariableStep : public RestoreStep {
 public:
  RequireVariableStep(std::string name, std::string meaning)
      : name_(std::move(name)), meaning_(std::move(meaning)) {}

  void print(ShellScript& script, const store::ArtifactRecord&, std::size_t) const override {
    script.conditions.push_back(
        fmt::format("[ -n \"${{{}-}}\" ] || {{ echo {} >&2; exit 2; }}", name_,
                    quoted(fmt::format("set {} in your environment: {}", name_, meaning_))));
  }
  void carry_out(RestoreTarget&) const override {}

 private:
  std::string name_, meaning_;
};

class StartServerStep : public RestoreStep {
 public:
  explicit StartServerStep(wire::ExecConfig ready) : ready_(std::move(ready)) {}

  void print(ShellScript& script, const store::ArtifactRecord&, std::size_t) const override {
    script.lines.push_back("docker start \"$TARGET\" >/dev/null");
    script.lines.push_back("tries=300; until " + docker_exec(ready_, false) +
                           " >/dev/null 2>&1; do tries=$((tries - 1)); [ $tries -gt 0 ] || { echo "
                           "\"$TARGET does not answer\" >&2; exit 1; }; sleep 1; done");
  }
  void carry_out(RestoreTarget& target) const override {
    target.start([&] { return target.engine().run(target.id(), ready_).exit_code == 0; });
  }

 private:
  wire::ExecConfig ready_;
};

std::string with_input(const wire::ExecConfig& program, const std::string& input) {
  return docker_exec(program, true) + " <<'END_OF_INPUT'\n" + input +
         (input.ends_with('\n') ? "" : "\n") + "END_OF_INPUT";
}

class RunScriptStep : public RestoreStep {
 public:
  explicit RunScriptStep(Script script) : script_(std::move(script)) {}

  void print(ShellScript& shell, const store::ArtifactRecord&, std::size_t number) const override {
    if (!script_.undo_input.empty()) {
      shell.undo.push_back(fmt::format("[ -z \"${{began_{}-}}\" ] || ", number) +
                           with_input(script_.program.exec, script_.undo_input));
      shell.lines.push_back(fmt::format("began_{}=yes", number));
    }
    shell.lines.push_back(with_input(script_.program.exec, script_.input));
  }
  void carry_out(RestoreTarget& target) const override {
    const FeedResult result = target.feed_text(resolved(script_.program, target), script_.input);
    if (result.exit_code == 0 && result.took_everything) return;
    throw Error(ErrorKind::capture, fmt::format("{}: {} ended with exit code {}: {}",
                                                script_.purpose, script_.program.exec.argv.front(),
                                                result.exit_code, trimmed(result.err)));
  }

 private:
  Script script_;
};

class FeedStep : public RestoreStep {
 public:
  explicit FeedStep(Feed feed) : feed_(std::move(feed)) {}

  void print(ShellScript& script, const store::ArtifactRecord& record, std::size_t) const override {
    // A pipeline has the exit status of its last program, and a client accepts a dump that
    // ends early: each program before it says on descriptor 3 that it came to its end.
    std::string source = "{ " + unpack(record.file) + " && printf x >&3; }";
    std::string ends = "x";
    if (feed_.rewrite) {
      source =
          "{ " + source + " | sed " + quoted(sed_script(*feed_.rewrite)) + " && printf x >&3; }";
      ends += "x";
    }
    script.lines.push_back("ends=$({ " + source + " | " + docker_exec(feed_.program.exec, true) +
                           " >&2; } 3>&1)");
    script.lines.push_back(fmt::format("[ \"$ends\" = {} ] || {{ echo {} >&2; exit 1; }}", ends,
                                       quoted(record.file + " could not be read to its end")));
  }
  void carry_out(RestoreTarget& target) const override {
    const StageMaker filter = [&](pipe::Stage& next) -> std::unique_ptr<pipe::Stage> {
      return feed_.rewrite ? rewrite_lines(*feed_.rewrite, next) : nullptr;
    };
    feed_.judge(
        target.feed(resolved(feed_.program, target), feed_.rewrite ? filter : StageMaker()));
  }

 private:
  Feed feed_;
};

// A glob on the container's paths as one on paths below the archived directory, as `find` has them
// there. Where that is ambiguous it matches more: what it matches stays.
std::string below_glob(const std::string& pattern, const std::string& path) {
  const std::string root = path == "/" ? path : path + '/';
  if (pattern.starts_with(root)) return "./" + pattern.substr(root.size());
  const std::size_t wild = pattern.find_first_of("*?");
  return wild == pattern.npos ? std::string() : "./*" + pattern.substr(wild);
}

// The tests of `find` that hold for what stays: what was moved aside, and what the set leaves out.
std::string staying(const ReplaceTree& tree) {
  std::string tests = "-path './.bba-before-*'";
  for (const std::string& pattern : tree.left_out) {
    const std::string glob = below_glob(pattern, tree.path);
    if (glob.empty()) continue;
    tests += fmt::format(" -o -path {} -o -path {}", quoted(glob), quoted(glob + "/*"));
  }
  return tests;
}

// Puts a tree back, in the place that the shell variable place_N names.
class ReplaceTreeStep : public RestoreStep {
 public:
  ReplaceTreeStep(ReplaceTree tree, bool on_host) : tree_(std::move(tree)), on_host_(on_host) {}

  void print(ShellScript& script, const store::ArtifactRecord& record,
             std::size_t number) const override {
    const std::string place = fmt::format("\"$place_{}\"", number);
    if (on_host_) {
      script.conditions.push_back(
          fmt::format("place_{}=$(realpath -m {})", number, quoted(tree_.path)));
    } else {
      script.conditions.push_back(
          fmt::format("place_{}=$(place_of {})", number, quoted(tree_.path)));
      script.conditions.push_back(require_empty(number));
    }
    script.places.push_back(place);
    ShellScript in_place;
    tree_.is_file ? print_file(in_place, record, number, place)
                  : print_directory(in_place, record, number, place);
    const auto if_mounted = [&](const std::string& line) {
      return on_host_ ? line : fmt::format("if [ -n {} ]; then {}; fi", place, line);
    };
    for (const std::string& line : in_place.lines) script.lines.push_back(if_mounted(line));
    for (const std::string& line : in_place.undo) script.undo.push_back(if_mounted(line));
    for (const std::string& line : in_place.finish) script.finish.push_back(if_mounted(line));
    if (!on_host_) {
      script.lines.push_back(
          fmt::format("if [ -z {} ]; then {} | docker cp - \"$TARGET\":{} && {}; fi", place,
                      unpack(record.file), quoted(parent_of(tree_.path)), same_listing(record)));
    }
  }

  void carry_out(RestoreTarget& target) const override {
    target.put_tree(on_host_ ? scratch_place + ('/' + base_name(tree_.path)) : tree_.path);
  }

 private:
  // In the container's own file system nothing can be moved aside from here.
  std::string require_empty(std::size_t number) const {
    return fmt::format(
        "[ -n \"$place_{}\" ] || [ \"$(docker cp \"$TARGET\":{} - 2>/dev/null | tar -t 2>/dev/null | wc "
        "-l)\" -le 1 ] || {{ echo {} >&2; exit 1; }}",
        number, quoted(tree_.path),
        quoted(tree_.path + " is on no mount of the container and not empty: recreate the "
                            "container, or put a volume there"));
  }

  // That the container now has what the archive lists.
  std::string same_listing(const store::ArtifactRecord& record) const {
    return fmt::format(
        "[ \"$(docker cp \"$TARGET\":{} - | tar -tv --numeric-owner | sort)\" = \"$({} | tar -tv "
        "--numeric-owner | sort)\" ]",
        quoted(tree_.path), unpack(record.file));
  }

  // A mounted file cannot be exchanged for another: it is written into.
  void print_file(ShellScript& script, const store::ArtifactRecord& record, std::size_t number,
                  const std::string& place) const {
    const std::string aside = fmt::format("\"$place_{}.bba-before-$STAMP\"", number);
    const std::string came = fmt::format("\"$place_{}.bba-new-$STAMP\"", number);
    const std::string name = base_name(tree_.path);
    script.undo.push_back(fmt::format(
        "rm -f {1} && {{ [ ! -e {0} ] || {{ cat {0} >{2} && rm {0}; }}; }}", aside, came, place));
    script.lines.push_back(fmt::format("cp -p {} {}", place, aside));
    script.lines.push_back(
        fmt::format("{} | tar -x --to-stdout -f - >{}", unpack(record.file), came));
    script.lines.push_back(fmt::format("cat {} >{} && cmp {} {}", came, place, came, place));
    script.finish.push_back(fmt::format("rm -f {} {}", aside, came));
  }

  void print_directory(ShellScript& script, const store::ArtifactRecord& record, std::size_t number,
                       const std::string& place) const {
    const std::string aside = fmt::format("\"$place_{}/.bba-before-$STAMP\"", number);
    const std::string stays = staying(tree_);
    const bool whole = tree_.left_out.empty();
    // Directories that hold what stays cannot be moved; of them the files are.
    const std::string what = whole ? "-prune" : "! -type d";
    const auto each = [&](const std::string& from, const std::string& tests,
                          const std::string& to) {
      return fmt::format(
          "(cd {} && find . -mindepth 1 {} {} -exec sh -c 'to=$1; shift; for f; do mkdir -p "
          "\"$to/${{f%/*}}\" && mv \"$f\" \"$to/$f\" || exit 1; done' sh {} {{}} +)",
          from, tests, what, to);
    };
    const std::string not_staying = fmt::format("\\( {} \\) -prune -o", stays);
    script.undo.push_back(fmt::format(
        "{{ [ ! -e {0} ] || {{ (cd {1} && find . -mindepth 1 {2} {3}) && {4} && rm -rf {0}; }}; }}",
        aside, place, not_staying,
        whole ? "-prune -exec rm -rf {} +" : "! -type d -exec rm -f {} +", each(aside, "", place)));
    // The whole directory may be missing.
    if (on_host_) script.lines.push_back(fmt::format("mkdir -p {}", place));
    script.lines.push_back(fmt::format("mkdir -m 700 {}", aside));
    script.lines.push_back(each(place, not_staying, aside));
    script.lines.push_back(
        on_host_
            ? fmt::format("{} | tar -x --numeric-owner -p -C \"${{place_{}%/*}}/\" --transform {}",
                          unpack(record.file), number, renaming(number))
            : fmt::format("{} | docker cp - \"$TARGET\":{}", unpack(record.file),
                          quoted(parent_of(tree_.path))));
    script.lines.push_back(fmt::format("time_{}=$(stat -c %Y {})", number, place));
    script.lines.push_back(fmt::format("{} | same_as {} {}{}", unpack(record.file), place,
                                       renaming(number), without_mountpoints()));
    script.finish.push_back(fmt::format("rm -rf {}", aside));
    script.finish.push_back(fmt::format("touch -d \"@$time_{}\" {}", number, place));
  }

  // The archive's entries begin with the last component of the path; on this host it may be
  // another.
  std::string renaming(std::size_t number) const {
    return fmt::format("{}\"$(as_replacement \"${{place_{}##*/}}\")\"{}",
                       quoted("s/^" + sed_literal(base_name(tree_.path)) + "\\(\\/\\|$\\)/"),
                       number, quoted("\\1/S"));
  }

  // What is mounted inside of the directory has other owners and modes than what lies beneath.
  std::string without_mountpoints() const {
    std::string options;
    for (const std::string& path : tree_.left_out) {
      if (path.find_first_of("*?") != path.npos || !path.starts_with(tree_.path + '/')) continue;
      options += " --exclude=" + quoted(base_name(tree_.path) + path.substr(tree_.path.size()));
    }
    return options.empty() ? options : " --anchored --no-wildcards" + options;
  }

  ReplaceTree tree_;
  bool on_host_;
};

}  // namespace

StepPtr require_variable(const std::string& name, const std::string& meaning) {
  return std::make_shared<RequireVariableStep>(name, meaning);
}

StepPtr start_server(const wire::ExecConfig& ready) {
  return std::make_shared<StartServerStep>(ready);
}

StepPtr run_script(Script script) {
  return std::make_shared<RunScriptStep>(std::move(script));
}

std::unique_ptr<pipe::Stage> rewrite_lines(const LineRewrite& rewrite, pipe::Stage& next) {
  return std::make_unique<RewriteStage>(rewrite, next);
}

StepPtr feed_program(Feed feed) {
  return std::make_shared<FeedStep>(std::move(feed));
}

StepPtr replace_tree(ReplaceTree tree) {
  return std::make_shared<ReplaceTreeStep>(std::move(tree), false);
}

StepPtr replace_host_tree(ReplaceTree tree) {
  return std::make_shared<ReplaceTreeStep>(std::move(tree), true);
}

wire::ExecConfig resolved(const Program& program, RestoreTarget& target) {
  wire::ExecConfig exec = program.exec;
  for (wire::EnvVar& variable : exec.env) {
    const auto names = program.secrets.find(variable.name);
    if (names != program.secrets.end()) {
      variable.value = target.secret(names->second).value_or("");
    }
  }
  return exec;
}

std::string quoted(const std::string& word) {
  return shell_quoted(std::array{word});
}

std::string docker_exec(const wire::ExecConfig& program, bool with_stdin) {
  std::string command = with_stdin ? "docker exec -i " : "docker exec ";
  if (!program.user.empty()) command += "-u " + quoted(program.user) + " ";
  // From the operator's environment: one that is not set is not passed.
  for (const wire::EnvVar& variable : program.env) command += "-e " + variable.name + " ";
  return command + "\"$TARGET\" " + shell_quoted(program.argv);
}

std::string unpack(const std::string& file) {
  if (file.ends_with(".gz")) return "gunzip -c -- " + quoted(file);
  if (file.ends_with(".zst")) return "zstd -dc -- " + quoted(file);
  return "cat -- " + quoted(file);
}

}  // namespace bba::service
