#include "bba/cli/run.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <sys/resource.h>
#include <unistd.h>

#include "bba/base/text.hpp"
#include "bba/commands/audit/audit_text.hpp"
#include "bba/commands/backup.hpp"
#include "bba/commands/drill.hpp"
#include "bba/commands/gate/gate.hpp"
#include "bba/commands/list.hpp"
#include "bba/commands/prune/prune.hpp"
#include "bba/commands/restore.hpp"
#include "bba/commands/verify/verify.hpp"
#include "bba/commands/verify/verify_text.hpp"
#include "bba/run/cleanup.hpp"
#include "bba/run/guard.hpp"
#include "bba/services/registry.hpp"
#include "bba/store/manifest_checksum.hpp"
#include "bba/store/proof.hpp"
#include "exit_code.hpp"
#include "options.hpp"
#include "output.hpp"

extern char** environ;

namespace bba::cli {

namespace {

constexpr const char* default_config = "/etc/backup-before-apply.yaml";
constexpr const char* default_host = "unix:///var/run/docker.sock";

// The one Stop of the process, for the handler; set before the handler is installed.
Stop* signalled = nullptr;

void on_signal(int number) {
  signalled->request(number);
}

// `stop` must live until the process ends.
void install_signal_handlers(Stop& stop) {
  signalled = &stop;
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, nullptr);
  // A closed terminal (SIGHUP) stops the run as SIGTERM does.
  for (const int signal : {SIGINT, SIGHUP}) {
    struct sigaction inherited {};
    ::sigaction(signal, nullptr, &inherited);
    // `nohup` and a shell's `&` want it to be ignored.
    if (inherited.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
}

// These become errors of the write instead of killing the process: a reader that is gone, and a
// file larger than `ulimit -f`.
void ignore_signals_of_writes() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

// Deep trees are walked with one descriptor per level.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text = *one;
    const std::size_t equals = text.find('=');
    if (equals != text.npos) variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

run::Settings settings_of(const Options& options) {
  run::Settings settings;
  settings.config = conf::load_config(options.config.value_or(default_config),
                                      options.config.has_value(), services::letters());
  const conf::Config& config = settings.config;
  settings.environment = environment();
  settings.platform_root = options.platform_root.value_or(config.platform_root);
  settings.backup_dir =
      options.backup_dir.value_or(config.backup_dir.value_or(settings.platform_root + "/backups"));
  settings.state_dir = options.state_dir.value_or(config.state_dir);
  settings.proof_dir = options.proof_dir.value_or(config.proof_dir);
  const auto docker_host = settings.environment.find("DOCKER_HOST");
  settings.host = options.host ? *options.host
                  : docker_host != settings.environment.end() && !docker_host->second.empty()
                      ? docker_host->second
                      : config.host.value_or(default_host);
  settings.limits.connect = config.connect_timeout;
  settings.limits.silence = config.silence_timeout;
  return settings;
}

// Refuses a typo of a command's name, unless the platform has a module of that name.
void require_meant(const Options& options, const std::string& platform_root) {
  if (options.meant_command.empty()) return;
  const std::string& word = options.modules.front();
  if (::access((platform_root + "/modules/" + word).c_str(), F_OK) == 0) return;
  throw Error(ErrorKind::usage, fmt::format("there is no command `{}`", word),
              fmt::format("did you mean `{}`? (`backup {}` for a module of that name)",
                          options.meant_command, word));
}

commands::BackupRequest request_of(const Options& options, const std::string& module) {
  return {module, options.container, options.module_class, options.consistency, options.paths};
}

// A result that nobody received is not a result: a script would go on with an empty one.
void print(const Stop& stop, const std::string& text) {
  constexpr const char* what = "writing the result to standard output";
  const WriteResult written = write_text(STDOUT_FILENO, text, &stop);
  if (written == WriteResult::failed) throw system_error(ErrorKind::storage, what, errno);
  // Not with the stop's own error kind, which would say that nothing was published.
  if (written == WriteResult::stopped)
    throw Error(ErrorKind::storage, stop.error().what()).in(what);
}

int plan(run::Session& session, const Options& options) {
  for (const std::string& asked : options.modules) {
    for (const std::string& module :
         commands::modules_to_back_up(session, request_of(options, asked))) {
      const auto capture = commands::make_capture(session, request_of(options, module));
      print(session.stop, options.json ? pretty_json(commands::plan_json(capture, session))
                                       : commands::plan_text(capture, session));
    }
  }
  return exit_done;
}

int backup(run::Session& session, const Options& options) {
  if (options.dry_run) return plan(session, options);
  const auto compression =
      pipe::compression_by_name(options.compression.value_or(session.settings.config.compression));
  if (!compression) throw Error(ErrorKind::config, "compression is neither gzip nor zstd");
  bool needs_hand = false;
  for (const std::string& module : options.modules) {
    const commands::BackupResult result =
        commands::backup(session, request_of(options, module), *compression);
    needs_hand = needs_hand || !result.needs_hand.empty();
    const auto directory = store::OwnedDirectory::open_existing(session.settings.backup_dir);
    for (const store::Manifest& manifest : result.sets) {
      if (options.json) print(session.stop, store::with_checksum(store::to_json(manifest)));
      for (const store::ArtifactRecord& artifact : manifest.artifacts) {
        if (!options.json) print(session.stop, store::path_in(directory, artifact.file) + "\n");
        session.reporter.note(fmt::format("{} from {}, sha256 {}", format_bytes(artifact.bytes),
                                          format_bytes(artifact.uncompressed_bytes),
                                          artifact.sha256.substr(0, 16)));
      }
      for (const std::string& follow_up : manifest.follow_ups) {
        session.reporter.warning(manifest.module + ": " + follow_up);
      }
    }
  }
  return needs_hand ? exit_needs_hand : exit_done;
}

int audit(run::Session& session, const Options& options) {
  const commands::AuditReport report = commands::audit_report(commands::gather_audit(session));
  const std::string format = options.format.value_or(options.json ? "json" : "table");
  print(session.stop, format == "json"       ? pretty_json(commands::audit_json(report))
                      : format == "markdown" ? commands::audit_markdown(report)
                                             : commands::audit_table(report));
  return exit_done;
}

int recover(run::Session& session, const Options& options) {
  const run::RecoverOutcome recovered = run::recover(session);
  if (options.json) {
    print(session.stop, pretty_json(Json{{"done", recovered.done},
                                         {"failed", recovered.failed},
                                         {"waiting", recovered.waiting}}));
  } else {
    for (const std::string& done : recovered.done) print(session.stop, done + "\n");
  }
  for (const std::string& failed : recovered.failed) session.reporter.warning(failed);
  for (const std::string& waiting : recovered.waiting) {
    session.reporter.warning(waiting +
                             ": not found, but the engine may still be making it: run this again "
                             "in a few minutes");
  }
  if (recovered.unfinished) {
    throw Error(ErrorKind::unfinished, "a restore is neither finished nor undone",
                "the service may be down: put right what is named above, then run this again");
  }
  if (recovered.broken_off) {
    throw Error(ErrorKind::unfinished, "a restore in place was broken off",
                "its service runs, and has neither state: do what is named above");
  }
  const bool all_well = recovered.failed.empty() && recovered.waiting.empty();
  if (recovered.done.empty() && all_well) session.reporter.note("nothing to recover");
  return all_well ? exit_done : exit_needs_hand;
}

int verify(run::Session& session, const Options& options) {
  commands::Verification all;
  for (const std::string& reference : options.modules) {
    commands::Verification one = commands::verify(session, reference);
    if (!options.json) print(session.stop, commands::verification_text(one));
    for (const std::string& note : one.notes) session.reporter.note(note);
    std::move(one.sets.begin(), one.sets.end(), std::back_inserter(all.sets));
  }
  if (options.json) print(session.stop, pretty_json(commands::verification_json(all)));
  if (const std::string broken = all.first_broken(); !broken.empty()) {
    throw Error(ErrorKind::artifact, broken, commands::advice(all));
  }
  return exit_done;
}

int drill(run::Session& session, const Options& options) {
  commands::DrillRequest request;
  request.reference = options.modules.front();
  if (options.memory) request.memory = *options.memory;
  const commands::Drill drill = commands::drill(session, request);
  if (options.json) {
    print(session.stop, pretty_json(drill.receipt));
  } else {
    for (const std::string& line : drill.lines) print(session.stop, printable(line) + "\n");
  }
  for (const Json& line : drill.receipt.at("not_proven")) {
    session.reporter.note("not proven: " + line.get<std::string>());
  }
  return drill.needs_hand.empty() ? exit_done : exit_needs_hand;
}

// On a terminal the operator types the module's id, elsewhere --yes has to say it.
void ask_before(const run::Session& session, const Options& options,
                const commands::RestorePlan& plan) {
  if (options.yes) return;
  const std::string text = commands::restore_plan_text(plan);
  if (::isatty(STDIN_FILENO) == 0) {
    throw Error(ErrorKind::usage,
                fmt::format("a {} changes the service, and there is no terminal to ask at",
                            options.command),
                fmt::format("look at `backup-before-apply {} {}{}{} --dry-run`, then give --yes",
                            options.command, plan.module, plan.is_undo ? " --undo" : "",
                            plan.in_place && !plan.is_undo ? " --in-place" : ""));
  }
  write_text(STDERR_FILENO, text + "Type the module's id to go on: ", &session.stop);
  std::string answer;
  for (char c = 0; ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n';) answer += c;
  session.stop.throw_if_requested();
  if (answer != plan.module) {
    throw Error(ErrorKind::usage, "not confirmed: nothing was done");
  }
}

int restore(run::Session& session, const Options& options) {
  if ((options.exact || options.new_cluster) && !options.in_place && !options.undo) {
    throw Error(ErrorKind::usage, "--exact and --new-cluster are for a restore in place",
                "give --in-place as well");
  }
  commands::RestoreRequest request;
  request.module = options.modules.front();
  request.reference = options.reference;
  request.undo = options.undo;
  request.rollback = options.command == "rollback";
  request.in_place = options.in_place;
  request.exact = options.exact;
  request.new_cluster = options.new_cluster;
  if (options.wait) request.patience = *options.wait;
  request.confirm = [&](const commands::RestorePlan& plan) { ask_before(session, options, plan); };
  if (options.dry_run) {
    const commands::RestorePlan plan = commands::plan_restore(session, request);
    print(session.stop, options.json ? pretty_json(commands::restore_plan_json(plan))
                                     : commands::restore_plan_text(plan));
    return exit_done;
  }
  const commands::RestoreResult result = commands::restore_service(session, request);
  print(session.stop, options.json ? pretty_json(commands::restore_json(result))
                                   : commands::restore_text(result));
  for (const std::string& line : result.outcome.not_proven) {
    session.reporter.note("not proven: " + line);
  }
  return result.needs_hand.empty() ? exit_done : exit_needs_hand;
}

int gate(run::Session& session, const Options& options) {
  commands::GateRequest request;
  request.module = options.modules.front();
  if (options.max_age) request.max_age = *options.max_age;
  if (options.require_proof) request.require = *store::proof_level_by_name(*options.require_proof);
  request.max_shrink = options.max_shrink.value_or(session.settings.config.max_shrink);
  request.skip_image_check = options.skip_image_check;
  request.accept_fallback = options.accept_fallback;
  request.accept_incomplete = options.accept_incomplete;
  request.reference = options.reference;
  const commands::GateVerdict verdict = commands::gate(session, request);
  if (options.json) {
    print(session.stop, pretty_json(commands::gate_json(verdict)));
  } else if (verdict.passed()) {
    print(session.stop, commands::gate_text(verdict));
  }
  session.reporter.note(verdict.by_proof
                            ? "judged by the public proof: the backup directory may not be read"
                            : "judged by the backup directory, read just now");
  if (verdict.passed()) return exit_done;
  for (std::size_t i = 1; i < verdict.refusals.size(); ++i) {
    session.reporter.warning(verdict.refusals[i].why + ": " + verdict.refusals[i].run);
  }
  throw commands::gate_error(verdict);
}

int list(run::Session& session, const Options& options) {
  const std::string module = options.modules.empty() ? "" : options.modules.front();
  const commands::Listing listing = commands::list(session, module);
  print(session.stop, options.json ? pretty_json(commands::list_json(listing, now()))
                                   : commands::list_text(listing, now()));
  if (listing.sets.empty()) {
    session.reporter.note(fmt::format("no backup{} in {}", module.empty() ? "" : " of " + module,
                                      session.settings.backup_dir));
  }
  if (std::any_of(listing.orphans.begin(), listing.orphans.end(),
                  [](const store::Orphan& orphan) { return orphan.abandoned; })) {
    session.reporter.note(
        "`backup-before-apply prune --orphans` removes what killed runs left: files that no "
        "manifest names");
  }
  return exit_done;
}

int prune(run::Session& session, const Options& options) {
  commands::PruneRequest request;
  if (!options.modules.empty()) request.module = options.modules.front();
  request.keep_last = options.keep_last;
  request.keep_within = options.keep_within;
  request.force = options.force;
  request.orphans = options.orphans;
  request.parked = options.parked;
  request.dry_run = options.dry_run;
  request.removed = [&](const std::string& file) { session.reporter.detail("removed " + file); };
  const commands::Pruning pruning = commands::prune(session, request);
  print(session.stop, options.json ? pretty_json(commands::pruning_json(pruning))
                                   : commands::pruning_text(pruning));
  return pruning.needs_hand ? exit_needs_hand : exit_done;
}

// What works on a copy of the backups, on a machine that never had an engine.
bool needs_no_engine(const Options& options) {
  return options.command == "verify" || options.command == "list" ||
         (options.command == "gate" && options.skip_image_check);
}

int dispatch(run::Session& session, const Options& options) {
  if (options.command == "backup") return backup(session, options);
  if (options.command == "plan") return plan(session, options);
  if (options.command == "audit") return audit(session, options);
  if (options.command == "verify") return verify(session, options);
  if (options.command == "drill") return drill(session, options);
  if (options.command == "restore" || options.command == "rollback") {
    return restore(session, options);
  }
  if (options.command == "gate") return gate(session, options);
  if (options.command == "list") return list(session, options);
  if (options.command == "prune") return prune(session, options);
  if (options.command == "recover") return recover(session, options);
  throw Error(ErrorKind::internal, "no code for the command " + options.command);
}

int run(const Options& options, Stop& stop, Terminal& terminal) {
  if (options.command.empty()) {
    print(stop, options.text);
    return exit_done;
  }
  raise_descriptor_limit();
  run::Settings settings = settings_of(options);
  require_meant(options, settings.platform_root);
  if (const auto limit = options.timeout ? options.timeout : settings.config.timeout) {
    stop.set_time_limit(*limit);
  }
  const std::string host = needs_no_engine(options) ? default_host : settings.host;
  docker::Engine engine(docker::socket_path(host), settings.limits, &stop);
  run::Session session{std::move(settings), stop, terminal, std::move(engine)};
  return dispatch(session, options);
}

int run(const Options& options, Stop& stop) {
  Terminal terminal(STDERR_FILENO, options.style, &stop);
  try {
    return run(options, stop, terminal);
  } catch (const Error& error) {
    terminal.progress_end();
    terminal.error(error);
    return exit_code(error.kind());
  } catch (const std::bad_alloc&) {
    terminal.error(Error(ErrorKind::internal, "out of memory"));
  } catch (const std::exception& error) {
    terminal.error(Error(ErrorKind::internal, error.what(), "this is a bug: please report it"));
  }
  return exit_code(ErrorKind::internal);
}

}  // namespace

int run(int argc, const char* const* argv) {
  occupy_standard_streams();
  ignore_signals_of_writes();
  try {
    const Options options = parse_options(argc, argv);
    if (!options.guard.empty()) return run::guard_main(options.guard[0], options.guard[1]);
    // Static, as a signal may come until the process is gone.
    static Stop stop;
    install_signal_handlers(stop);
    return run(options, stop);
  } catch (const Error& error) {
    Terminal(STDERR_FILENO, {}, nullptr).error(error);
    return exit_code(error.kind());
  }
}

}  // namespace bba::cli
