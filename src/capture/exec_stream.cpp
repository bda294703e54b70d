#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"
#include "bba/docker/frame_stage.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/pipe/pump.hpp"
#include "parts.hpp"

namespace bba::capture {

namespace {

// Ends the program of an exec whose stream has failed: the engine would let it run on.
void end_program(const CaptureContext& context, const store::JournalEntry& entry) {
  docker::Limits patient;
  patient.silence = std::chrono::seconds(20);
  docker::Engine engine = context.session.engine.unstoppable(patient);
  try {
    if (docker::end_exec(engine, entry.id)) {
      context.cleanup.complete(entry);
      return;
    }
    context.session.reporter.warning(entry.name +
                                     " may still run: its process is not on this host");
  } catch (const Error& error) {
    // The operator must see the first failure; this entry stays in the journal.
    context.session.reporter.warning(entry.name + " may still run: " + error.what());
  }
}

}  // namespace

void stream_exec(const CaptureContext& context, const wire::ExecConfig& config, pipe::Stage& next,
                 const ProgressFn& moved) {
  run::Session& session = context.session;
  const wire::Container& container = context.capture.target.container;
  const std::string& program = config.argv.front();
  docker::FrameStage frames(next);

  const std::string exec = session.engine.create_exec(container.id, config);
  const store::JournalEntry entry{store::CleanupKind::exec, exec,
                                  program + " in " + container.name};
  context.cleanup.record(entry);
  try {
    docker::Body body = session.engine.start_exec(exec);
    pump([&] { return body.read(); }, frames, moved);
    body.close();
    const auto exit_code = session.engine.exit_code(exec, std::chrono::seconds(10));
    if (!exit_code) {
      throw Error(ErrorKind::capture, "its exit status is not known: the output cannot be trusted",
                  "try again; if it happens again, see the engine's log");
    }
    context.cleanup.complete(entry);
    if (*exit_code != 0) {
      const bool not_started = *exit_code == 126 || *exit_code == 127;
      // A program that cannot be started says so on stdout.
      const std::string words = docker::without_secrets(
          docker::last_output(not_started && frames.stderr_tail().empty() ? frames.stdout_head()
                                                                          : frames.stderr_tail()),
          config.env);
      throw Error(ErrorKind::capture,
                  fmt::format("{} exit code {}{}{}",
                              not_started ? "it could not be started:" : "it ended with",
                              *exit_code, words.empty() ? "" : ": ", words),
                  not_started ? "is the program in the image, and in PATH?" : "");
    }
    frames.finish();
  } catch (Error& error) {
    if (context.cleanup.has(entry)) end_program(context, entry);
    if (error.kind() == ErrorKind::artifact || error.kind() == ErrorKind::engine) {
      error.with_kind(ErrorKind::capture);
    }
    // The program's own words tell more than "the stream ended".
    const std::string words =
        docker::without_secrets(docker::last_output(frames.stderr_tail()), config.env);
    if (error.hint().empty() && !words.empty() &&
        std::string_view(error.what()).find(printable(words)) == std::string_view::npos) {
      error.with_hint(program + " said: " + printable(words));
    }
    error.in(program);
    throw;
  } catch (...) {
    if (context.cleanup.has(entry)) end_program(context, entry);
    throw;
  }
}

service::PartFindings capture_dump(const CaptureContext& context, const service::Part& part,
                                   const service::ExecDump& dump, ArtifactSink& sink,
                                   const ProgressFn& moved) {
  const auto check = part.kind->content_check(Json::object());
  pipe::TeeStage tee{&check->stage(), &sink.count};
  try {
    stream_exec(context, dump.exec, tee, moved);
  } catch (Error& error) {
    context.capture.service->explain(error, context.capture);
    throw;
  }
  return {check->found()};
}

}  // namespace bba::capture
