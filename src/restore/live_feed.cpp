#include "live_feed.hpp"

#include <chrono>

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"

namespace bba::restore {

namespace {

// Of what a program prints that takes data.
constexpr std::size_t most_output = 1 << 20;

wire::ExecConfig with_stdin(wire::ExecConfig program) {
  program.attach_stdin = true;
  return program;
}

}  // namespace

void LiveFeed::Output::write(const Chunk& chunk) {
  if (chunk.size() > most_output - text.size()) {
    throw Error(ErrorKind::capture,
                fmt::format("it printed more than {}", format_bytes(most_output)));
  }
  text += chunk.text();
}

LiveFeed::LiveFeed(docker::Engine& engine, const ScratchContext& context,
                   const std::string& container, wire::ExecConfig program)
    : engine_(engine),
      context_(context),
      exec_(engine.create_exec(container, with_stdin(program))),
      entry_{store::CleanupKind::exec, exec_, program.argv.front() + " in " + context.live.name} {
  context_.cleanup.record(entry_);
  try {
    attached_.emplace(engine_.attach_exec(exec_));
  } catch (...) {
    end_program();
    throw;
  }
}

LiveFeed::~LiveFeed() {
  if (context_.cleanup.has(entry_)) end_program();
}

void LiveFeed::end_program() noexcept {
  docker::Limits patient;
  patient.silence = std::chrono::seconds(20);
  try {
    docker::Engine engine = context_.session.engine.unstoppable(patient);
    if (docker::end_exec(engine, exec_)) return context_.cleanup.complete(entry_);
    context_.session.reporter.warning(entry_.name +
                                      " may still run: its process is not on this host");
  } catch (const std::exception& error) {
    // It stays in the journal.
    context_.session.reporter.warning(entry_.name + " may still run: " + error.what());
  }
}

void LiveFeed::write(ByteView bytes) {
  if (!fed_.took_everything) return;
  try {
    attached_->write(bytes, [&](const Chunk& said) { frames_.write(said); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::capture) throw;
    fed_.took_everything = false;
  }
}

service::FeedResult LiveFeed::finish() {
  if (fed_.took_everything) attached_->close_stdin();
  while (const std::optional<Chunk> said = attached_->read()) frames_.write(*said);
  frames_.finish();
  const auto exit_code = engine_.exit_code(exec_, std::chrono::seconds(10));
  if (!exit_code) throw Error(ErrorKind::capture, entry_.name + ": exit status unknown");
  context_.cleanup.complete(entry_);
  fed_.exit_code = *exit_code;
  fed_.out = std::move(output_.text);
  fed_.err = frames_.stderr_tail();
  return fed_;
}

}  // namespace bba::restore
