#include "feed_exec.hpp"

#include "bba/base/text.hpp"
#include "bba/docker/frame_stage.hpp"

namespace bba::restore {

namespace {

class OutputStage : public pipe::Stage {
 public:
  explicit OutputStage(std::size_t most) : most_(most) {}
  void write(const Chunk& chunk) override {
    if (chunk.size() > most_ - text.size()) {
      throw Error(ErrorKind::capture, fmt::format("it printed more than {}", format_bytes(most_)));
    }
    text += chunk.text();
  }
  void finish() override {}
  std::string text;

 private:
  std::size_t most_;
};

}  // namespace

service::FeedResult feed_exec(docker::Engine& engine, const std::string& container,
                              const wire::ExecConfig& program,
                              const std::function<std::optional<Chunk>()>& source,
                              std::size_t most_output) {
  wire::ExecConfig config = program;
  config.attach_stdin = true;
  const std::string exec = engine.create_exec(container, config);
  OutputStage output(most_output);
  docker::FrameStage frames(output);
  docker::Attached attached = engine.attach_exec(exec);
  service::FeedResult fed;
  while (const std::optional<Chunk> chunk = source()) {
    try {
      attached.write(chunk->bytes(), [&](const Chunk& said) { frames.write(said); });
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::capture) throw;
      fed.took_everything = false;
      break;
    }
  }
  if (fed.took_everything) attached.close_stdin();
  while (const std::optional<Chunk> said = attached.read()) frames.write(*said);
  frames.finish();
  const auto exit_code = engine.exit_code(exec, std::chrono::seconds(10));
  if (!exit_code) {
    throw Error(ErrorKind::capture, program.argv.front() + ": exit status unknown");
  }
  fed.exit_code = *exit_code;
  fed.out = std::move(output.text);
  fed.err = frames.stderr_tail();
  return fed;
}

}  // namespace bba::restore
