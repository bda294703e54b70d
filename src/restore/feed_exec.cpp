#include "bba/restore/feed_exec.hpp"

#include "bba/base/text.hpp"
#include "bba/capture/stages.hpp"

namespace bba::ops {

namespace {

// Longer than any role can be.
constexpr std::size_t longest_line = 64 * 1024;

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

// As SQL quotes a name where it must.
std::string quoted_name(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

Fed feed(docker::Engine& engine, const std::string& container, const wire::ExecConfig& program,
         const std::function<std::optional<Chunk>()>& source, std::size_t most_output) {
  wire::ExecConfig config = program;
  config.attach_stdin = true;
  const std::string exec = engine.create_exec(container, config);
  OutputStage output(most_output);
  FrameStage frames(output);
  docker::Attached attached = engine.attach_exec(exec);
  Fed fed;
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
    throw Error(ErrorKind::capture, program.argv.front() + ": nobody knows how it ended");
  }
  fed.exit_code = *exit_code;
  fed.out = std::move(output.text);
  fed.err = frames.stderr_tail();
  return fed;
}

bool RoleFilter::is_the_line(std::string_view line) const {
  constexpr std::string_view create = "CREATE ROLE ";
  if (!line.starts_with(create) || !line.ends_with(';')) return false;
  const std::string_view name = line.substr(create.size(), line.size() - create.size() - 1);
  return name == role_ || name == quoted_name(role_);
}

void RoleFilter::write(const Chunk& chunk) {
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
    const bool left_out = is_the_line(line);
    done_ = left_out || line.starts_with("\\connect ");
    if (!left_out) passed += rest.substr(0, end + 1);
    rest.remove_prefix(end + 1);
  }
  done_ = done_ || rest.size() > longest_line;
  if (done_) passed += rest;
  line_ = done_ ? std::string() : std::string(rest);
  if (!passed.empty()) next_.write(Chunk::copy_of(passed));
}

void RoleFilter::finish() {
  if (!line_.empty()) next_.write(Chunk::copy_of(line_));
  next_.finish();
}

}  // namespace bba::ops
