#include "options.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <CLI/CLI.hpp>

#include "bba/base/number.hpp"
#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/base/time.hpp"
#include "bba/pipe/compress.hpp"
#include "bba/service/capture.hpp"
#include "bba/services/registry.hpp"

namespace bba::cli {

namespace {

constexpr std::string_view guard_command = "__guard";

constexpr const char* description =
    "Takes a complete, checked backup of one service in its Docker container before you change "
    "it,\n"
    "or says exactly why it could not, leaves nothing behind, and leaves the service as it found "
    "it.";

constexpr const char* footer = R"(Examples:
  backup-before-apply postgres            back up module postgres
  backup-before-apply plan postgres       what that would do; reads only
  backup-before-apply drill postgres      restore its newest backup elsewhere, and compare
  backup-before-apply restore postgres    bring its newest good backup back
  backup-before-apply rollback postgres   the same, and the image of then
  backup-before-apply audit               every stateful module, and what to begin with
  backup-before-apply recover             put right what a killed run left

The result goes to standard output (for a backup: the paths); progress and errors to standard error.
Exit codes: 0 done, 2 wrong use, 3 configuration or module, 4 container, 5 engine, 6 capture failed,
7 artifact damaged, 8 storage, 9 another run holds the module, 10 gate refuses, 11 done but needs a hand,
12 a restore is neither finished nor undone, 124 time limit, 130/143 interrupted. `backup-before-apply COMMAND --help` tells more of each command.)";

// What stands below the help of every command.
constexpr const char* more =
    "\n\nEvery command: 2 wrong use, 3 configuration or module, 8 storage, 124 time limit,\n"
    "130/143 interrupted. Global options: see `backup-before-apply --help`.";

std::string seconds_validator(const std::string& text) {
  return parse_duration(text) ? std::string()
                              : "'" + text + "' is not a time span: use 90s, 15m, 1h, 14d";
}

std::string consistency_validator(const std::string& text) {
  return service::consistency_by_name(text)
             ? std::string()
             : "'" + text + "' is not one of auto, pause, stop, live";
}

std::string compression_validator(const std::string& text) {
  const auto compression = pipe::compression_by_name(text);
  return compression && *compression != pipe::Compression::none
             ? std::string()
             : "'" + text + "' is not one of gzip, zstd";
}

std::string class_validator(const std::string& text) {
  const std::string letters = services::letters();
  return text.size() == 1 && letters.find(text) != letters.npos
             ? std::string()
             : "'" + text + "' is not a class: use one of " + letters;
}

// One spelling for each path, as mounts and excludes are compared with it.
const CLI::Validator container_path(
    [](std::string& text) {
      const auto normal = printable(text) == text ? normal_path(text) : std::nullopt;
      if (!normal) return "'" + printable(text) + "' is not an absolute path without \"..\"";
      text = *normal;
      return std::string();
    },
    "");

// "80%" as 0.8; nullopt where it is not a share.
std::optional<double> parse_share(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const auto percent = parse_number<int>(text);
  if (!percent || *percent < 0 || *percent > 100) return std::nullopt;
  return *percent / 100.0;
}

std::string count_validator(const std::string& text) {
  return parse_number<std::size_t>(text)
             ? std::string()
             : "'" + text + "' is not a number of sets: use 1, 2, 3, ...";
}

std::string share_validator(const std::string& text) {
  return parse_share(text) ? std::string() : "'" + text + "' is not a share: use 0% to 100%";
}

std::string memory_validator(const std::string& text) {
  constexpr std::uint64_t least = 6 << 20;  // what the engine itself asks for
  const auto bytes = parse_bytes(text);
  return bytes && *bytes >= least
             ? std::string()
             : "'" + text + "' is not a size of 6MiB or more: use 512MiB, 4GiB";
}

// What CLI11 fills; spans and classes are converted once it is done.
struct Raw {
  Options options;
  std::string timeout, color, module_class, max_age, max_shrink, keep_within, memory, wait;
};

void add_globals(CLI::App& app, Raw& raw) {
  Options& o = raw.options;
  const std::string group = "Global options";
  app.add_option("--platform-root", o.platform_root, "Where modules/ and compose/ are")
      ->type_name("DIR")
      ->group(group);
  app.add_option("--backup-dir", o.backup_dir,
                 "Where artifacts go (default <platform-root>/backups)")
      ->type_name("DIR")
      ->group(group);
  app.add_option("--config", o.config, "Configuration (default /etc/backup-before-apply.yaml)")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--host", o.host,
                 "The Docker Engine (default $DOCKER_HOST, else the configuration's `host`, else "
                 "unix:///var/run/docker.sock)")
      ->type_name("URL")
      ->group(group);
  app.add_option("--state-dir", o.state_dir,
                 "Locks and journals (default /var/lib/backup-before-apply/state)")
      ->type_name("DIR")
      ->group(group);
  app.add_option("--proof-dir", o.proof_dir,
                 "Public proofs (default /var/lib/backup-before-apply/proofs)")
      ->type_name("DIR")
      ->group(group);
  app.add_option("--timeout", raw.timeout, "End the command after this long: 90s, 15m, 1h")
      ->type_name("SPAN")
      ->check(seconds_validator)
      ->group(group);
  app.add_flag("--json", o.json, "Print the result as JSON")->group(group);
  app.add_flag("-q,--quiet", o.style.quiet, "Only warnings and errors on standard error")
      ->group(group);
  app.add_flag("-v,--verbose", o.style.verbose, "Print more of what happens")->group(group);
  app.add_option("--color", raw.color, "auto, always or never")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->group(group);
}

void add_selection(CLI::App& app, Raw& raw) {
  Options& o = raw.options;
  app.add_option("--container", o.container, "The container, instead of looking it up")
      ->type_name("NAME");
  app.add_option("--class", raw.module_class,
                 "The class, instead of the rules' choice: " + services::letters())
      ->type_name("CLASS")
      ->check(class_validator);
  app.add_option("--consistency", o.consistency,
                 "auto, pause, stop or live: what holds the files still")
      ->type_name("MODE")
      ->check(consistency_validator);
  app.add_option("--path", o.paths,
                 "Archive this path of the container instead of its mounts (may be given again)")
      ->type_name("PATH")
      ->transform(container_path)
      ->allow_extra_args(false);
}

void add_modules(CLI::App& app, Raw& raw, bool several) {
  CLI::Option* modules =
      app.add_option("module-id", raw.options.modules,
                     "The module: a directory below <platform-root>/modules, or a compose service")
          ->required();
  if (!several) modules->expected(1);
}

void add_optional_module(CLI::App& app, Raw& raw) {
  app.add_option("module-id", raw.options.modules, "One module; all of them where it is left out")
      ->expected(0, 1);
}

void add_drill(CLI::App& app, Raw& raw) {
  app.add_option("reference", raw.options.modules,
                 "A manifest, an artifact (its whole set is meant), or a module: its newest set")
      ->required()
      ->expected(1);
  app.add_option("--memory", raw.memory, "What the scratch container may use (default 1GiB)")
      ->type_name("SIZE")
      ->check(memory_validator);
}

void add_gate(CLI::App& app, Raw& raw) {
  Options& o = raw.options;
  add_modules(app, raw, false);
  app.add_option("--max-age", raw.max_age, "How old the backup may be (default 1h)")
      ->type_name("SPAN")
      ->check(seconds_validator);
  app.add_option("--require", o.require_proof, "verified (default) or drilled")
      ->type_name("PROOF")
      ->check(CLI::IsMember({"verified", "drilled"}));
  app.add_option("--max-shrink", raw.max_shrink,
                 "How much smaller than the sets before it it may be (default 80%)")
      ->type_name("SHARE")
      ->check(share_validator);
  app.add_option("--ref", o.reference, "Judge this artifact's set instead of the newest")
      ->type_name("ARTIFACT");
  app.add_flag("--skip-image-check", o.skip_image_check,
               "Do not ask the engine whether the image that was backed up still runs");
  app.add_flag("--accept-fallback", o.accept_fallback,
               "Open also for a set that is a fallback, or that changed while it was read");
  app.add_flag("--accept-incomplete", o.accept_incomplete,
               "Open also for a set that is known to lack data");
}

void add_prune(CLI::App& app, Raw& raw) {
  Options& o = raw.options;
  add_optional_module(app, raw);
  app.add_option("--keep-last", o.keep_last, "Keep the newest N sets of each module")
      ->type_name("N")
      ->check(count_validator);
  app.add_option("--keep-within", raw.keep_within, "Keep what is not older than this: 12h, 14d")
      ->type_name("SPAN")
      ->check(seconds_validator);
  app.add_flag("--force", o.force, "Also remove sets that fail verify");
  app.add_flag("--orphans", o.orphans,
               "Also remove files of no set, an hour old: what killed runs left");
  app.add_flag("--parked", o.parked,
               "Remove what restores have put aside: they cannot be undone any more");
  app.add_flag("--dry-run", o.dry_run, "Only show what would be removed");
}

void add_restore(CLI::App& app, Raw& raw) {
  Options& o = raw.options;
  add_modules(app, raw, false);
  app.add_option("--set", o.reference,
                 "This set instead of the newest good one: an artifact, a manifest, or its time")
      ->type_name("REF");
  app.add_flag("--undo", o.undo, "Bring back what the service had before the last restore");
  app.add_flag(
      "--in-place", o.in_place,
      "Vault and MinIO: into the running service, not in one step; a safety set of what it "
      "has is taken first");
  app.add_flag("--exact", o.exact,
               "With --in-place, MinIO: also remove the objects that the set does not have");
  app.add_flag("--new-cluster", o.new_cluster,
               "With --in-place, Vault: also into another cluster than the one that was backed up");
  app.add_flag("--dry-run", o.dry_run, "Only show what would be done");
  app.add_flag("--yes", o.yes, "Do not ask");
  app.add_option("--wait", raw.wait, "How long the service may take to answer (default 5m)")
      ->type_name("SPAN")
      ->check(seconds_validator);
}

struct Command {
  const char* name;
  const char* summary;
  const char* footer;  // examples, and the exit codes that are its own
  void (*add)(CLI::App&, Raw&);
};

constexpr std::array commands{
    Command{"backup", "Take a backup; `backup-before-apply MODULE` is short for it",
            R"(Examples:
  backup-before-apply backup forgejo
  backup-before-apply backup uptime-kuma --consistency stop --compression zstd

Prints the artifacts' paths, with --json the manifest. Exit codes: 0 done, 4 container, 5 engine,
6 the capture failed, 9 another run holds the module, 11 done but something needs a hand: a
container could not be unpaused, the set is a fallback (not what the class's own procedure makes),
or something is known not to be in it. With any code but 0 and 11 nothing of the module was
published.)",
            [](CLI::App& app, Raw& raw) {
              add_modules(app, raw, true);
              add_selection(app, raw);
              app.add_option("--compression", raw.options.compression, "gzip (default) or zstd")
                  ->type_name("KIND")
                  ->check(compression_validator);
              app.add_flag("--dry-run", raw.options.dry_run, "Show the plan instead");
            }},
    Command{"plan", "Show what a backup would do; reads only",
            R"(Example:
  backup-before-apply plan forgejo

Exit codes: 0 done, 4 container not found or not to be backed up, 5 engine.)",
            [](CLI::App& app, Raw& raw) {
              add_modules(app, raw, false);
              add_selection(app, raw);
            }},
    Command{"audit", "Show every stateful module, and what stands between it and its backup",
            R"(Examples:
  backup-before-apply audit
  backup-before-apply audit --format markdown > audit.md

Exit code 0 also where there are findings: they are the result.)",
            [](CLI::App& app, Raw& raw) {
              app.add_option("--format", raw.options.format, "table (default), json or markdown")
                  ->type_name("FORMAT")
                  ->check(CLI::IsMember({"table", "json", "markdown"}));
            }},
    Command{"verify", "Read a backup again and prove it whole; needs no engine",
            R"(Examples:
  backup-before-apply verify forgejo-20261123T084232Z.manifest.json     one set
  backup-before-apply verify forgejo                                    all sets of the module

Exit codes: 0 all that was read is whole, 7 something is not what its manifest says.)",
            [](CLI::App& app, Raw& raw) {
              app.add_option("reference", raw.options.modules,
                             "A manifest, an artifact, or a module: all of its sets")
                  ->required();
            }},
    Command{"drill", "Restore a backup into a scratch container, and compare",
            R"(Examples:
  backup-before-apply drill forgejo
  backup-before-apply drill forgejo-20261123T084232Z.manifest.json --memory 4GiB

A scratch container without network gets the image that was backed up, and the entrypoint,
command and environment of the live one, which is only read. What comes back is compared
with what the backup recorded, the scratch container is removed with its volumes, and a
receipt beside the manifest opens `gate --require drilled`. Exit codes: 0 it restores, 7 it does
not restore to what it says, 6 the scratch container did not come up, 4 the container or its image
is not on this engine, 9 another run holds the module, 11 it restores, but something needs a hand.)",
            add_drill},
    Command{"restore", "Bring a backup back into its service, in one step that can be undone",
            R"(Examples:
  backup-before-apply restore forgejo --dry-run
  backup-before-apply restore forgejo
  backup-before-apply restore forgejo --undo
  backup-before-apply restore minio --in-place --dry-run

Builds the state of the backup beside the service and compares it, while the service runs on; then
stops the service, exchanges the directories, starts it and waits until it answers. What it had
before is kept, for --undo, until `prune --parked` removes it. Vault and MinIO take their data through
their own programs while they run: --in-place. Exit codes: 0 the service has what was
restored, 4 the container or its mounts do not allow it, 6 or 7 it failed and everything is as it was,
9 another run holds the module, 12 neither finished nor undone: run `recover`.)",
            add_restore},
    Command{"rollback", "As restore, and the container from the image that was backed up",
            R"(Examples:
  backup-before-apply rollback forgejo --dry-run
  backup-before-apply rollback forgejo
  backup-before-apply rollback forgejo --undo

For a change that brought a new image or configuration. The present container is stopped and put
aside, as <name>-replaced-<time>, and is never started on what is restored: a new image would
change it at once. One like that of the backup is made from the same image, with its name,
networks and labels. Exit codes: as of restore; 4 also where the image is not on this engine.)",
            add_restore},
    Command{"gate", "Exit 0 only where a fresh, proven backup is there",
            R"(Example:
  backup-before-apply gate forgejo --max-age 1h --require drilled && docker compose up -d forgejo

A set that is a fallback (not what the class's own procedure makes) is refused, and so is one that
changed while it was read, and one that is known to lack data. Exit codes: 0 every condition holds,
10 the gate refuses and says why. It changes nothing.)",
            add_gate},
    Command{"list", "What is in the backup directory",
            R"(Examples:
  backup-before-apply list
  backup-before-apply list forgejo --json

Reads manifests and sizes, not the artifacts: `verify` does that. Exit code 0 also where a set is
broken.)",
            add_optional_module},
    Command{"prune", "Remove old sets, never the newest good one",
            R"(Examples:
  backup-before-apply prune forgejo --keep-last 3 --keep-within 14d --dry-run
  backup-before-apply prune --orphans

A set that one of the rules keeps is kept. Exit codes: 0 done, 9 another run holds a module (then
nothing was removed), 11 done, but something needs a hand.)",
            add_prune},
    Command{"recover", "Put right what a killed run left: a paused container, a running exec",
            R"(Example:
  backup-before-apply recover

Exit codes: 0 nothing is left, 11 something could not be put right.)",
            [](CLI::App&, Raw&) {}},
};

// Whether `first` and `second` differ by one letter missing, added or wrong, or two swapped.
bool is_one_typo(std::string_view first, std::string_view second) {
  while (!first.empty() && !second.empty() && first.front() == second.front()) {
    first.remove_prefix(1);
    second.remove_prefix(1);
  }
  while (!first.empty() && !second.empty() && first.back() == second.back()) {
    first.remove_suffix(1);
    second.remove_suffix(1);
  }
  if (first.size() == 2 && second.size() == 2) {
    return first[0] == second[1] && first[1] == second[0];
  }
  return first.size() <= 1 && second.size() <= 1;
}

// The command that `word` is a typo of; empty where there is none.
std::string meant_command(std::string_view word) {
  for (const Command& command : commands) {
    if (is_one_typo(word, command.name)) return command.name;
  }
  return {};
}

// The first word that is neither an option nor an option's value.
std::size_t first_word(const CLI::App& app, const std::vector<std::string>& words) {
  std::set<std::string> with_value;
  const auto note_options = [&](const CLI::App& one) {
    for (const CLI::Option* option : one.get_options()) {
      if (option->get_items_expected_max() == 0) continue;
      for (const std::string& name : option->get_lnames()) with_value.insert("--" + name);
    }
  };
  note_options(app);
  for (const CLI::App* command : app.get_subcommands({})) note_options(*command);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (with_value.count(words[i]) != 0) {
      ++i;
    } else if (!words[i].starts_with('-')) {
      return i;
    }
  }
  return words.size();
}

bool is_command(std::string_view word) {
  return std::any_of(commands.begin(), commands.end(),
                     [&](const Command& one) { return word == one.name; });
}

// `help` as --help, `help COMMAND` as COMMAND --help.
std::vector<std::string> help_words(std::vector<std::string> words, std::size_t first) {
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(first));
  if (first < words.size() && !is_command(words[first])) {
    const std::string meant = meant_command(words[first]);
    throw Error(ErrorKind::usage, "there is no command " + words[first],
                meant.empty() ? "see `backup-before-apply --help`" : "did you mean " + meant + "?");
  }
  words.emplace_back("--help");
  return words;
}

std::string usage_hint(const CLI::App& app, const std::vector<std::string>& words) {
  std::vector<std::string> names;
  const auto note_options = [&](const CLI::App& one) {
    for (const CLI::Option* option : one.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  };
  note_options(app);
  std::string command;
  for (const CLI::App* one : app.get_subcommands()) {
    note_options(*one);
    command = one->get_name() + " ";
  }
  for (const std::string& word : words) {
    if (!word.starts_with("--")) continue;
    const std::string name = word.substr(0, word.find('='));
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::vector<std::string> close = nearest(name, names, 1);
    if (!close.empty()) return "did you mean " + close.front() + "?";
  }
  return "see `backup-before-apply " + command + "--help`";
}

}  // namespace

Options parse_options(int argc, const char* const* argv) {
  Raw raw;
  CLI::App app(description, "backup-before-apply");
  app.footer(footer);
  app.set_version_flag("--version", std::string("backup-before-apply ") + BBA_VERSION);
  app.set_help_flag("-h,--help", "Show this help");
  app.get_formatter()->column_width(30);
  add_globals(app, raw);
  for (const Command& command : commands) {
    CLI::App* one = app.add_subcommand(command.name, command.summary);
    one->fallthrough();
    one->footer(std::string(command.footer) + more);
    command.add(*one, raw);
  }
  app.require_subcommand(0, 1);

  std::vector<std::string> words(argv + 1, argv + argc);
  Options& options = raw.options;
  if (words.size() == 3 && words.front() == guard_command) {
    options.command = guard_command;
    options.guard.assign(words.begin() + 1, words.end());
    return options;
  }
  std::size_t first = first_word(app, words);
  if (first < words.size() && words[first] == "help") {
    words = help_words(std::move(words), first);
    first = first_word(app, words);
  }
  const bool names_command = first < words.size() && is_command(words[first]);
  const bool asks_for_text = std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "--help" || word == "-h" || word == "--version";
  });
  if (first < words.size() && !names_command) {
    // A module: `backup-before-apply postgres`.
    options.meant_command = meant_command(words[first]);
    words.insert(words.begin(), "backup");
  } else if (first == words.size() && !asks_for_text) {
    throw Error(ErrorKind::usage, "no module and no command given",
                "`backup-before-apply MODULE` takes a backup; see `backup-before-apply --help`");
  }

  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    options.text = app.help();
    return options;
  } catch (const CLI::CallForVersion&) {
    options.text = app.version() + "\n";
    return options;
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::usage, error.what(),
                options.meant_command.empty()
                    ? usage_hint(app, words)
                    : fmt::format("did you mean `{}`?", options.meant_command));
  }
  if (options.modules.size() > 1 && (options.container || !options.paths.empty())) {
    throw Error(ErrorKind::usage,
                fmt::format("{} applies to one container, and {} modules are named",
                            options.container ? "--container" : "--path", options.modules.size()),
                "back them up one by one");
  }

  options.command = app.get_subcommands().front()->get_name();
  if (!raw.timeout.empty()) options.timeout = parse_duration(raw.timeout);
  if (!raw.memory.empty()) options.memory = parse_bytes(raw.memory);
  if (!raw.wait.empty()) options.wait = parse_duration(raw.wait);
  if (!raw.max_age.empty()) options.max_age = parse_duration(raw.max_age);
  if (!raw.keep_within.empty()) options.keep_within = parse_duration(raw.keep_within);
  if (!raw.max_shrink.empty()) options.max_shrink = parse_share(raw.max_shrink);
  if (!raw.module_class.empty()) options.module_class = raw.module_class.front();
  if (raw.color == "always") options.style.color = Color::always;
  if (raw.color == "never") options.style.color = Color::never;
  return options;
}

}  // namespace bba::cli
