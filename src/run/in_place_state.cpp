#include "bba/run/in_place_state.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

#include "bba/base/error.hpp"
#include "bba/base/fd.hpp"
#include "bba/base/json.hpp"
#include "bba/base/text.hpp"
#include "state_file.hpp"

namespace bba::run {

namespace {

constexpr std::string_view suffix = ".in-place.json";
constexpr std::size_t most_bytes = 1 << 20;

std::string path_of(const std::string& state_directory, const std::string& module) {
  return state_directory + '/' + module + std::string(suffix);
}

InPlaceState read_state(const std::string& path) {
  const auto json = parse_json(read_small_file(path, most_bytes, ErrorKind::storage));
  InPlaceState state;
  const auto time = json ? parse_compact(string_member(*json, "time").value_or("")) : std::nullopt;
  const auto unfinished = json ? bool_member(*json, "unfinished") : std::nullopt;
  const auto safety_set = json ? string_member(*json, "safety_set") : std::nullopt;
  if (!time || !unfinished || !safety_set) {
    throw Error(ErrorKind::storage, path + " does not say what a restore in place has done",
                "`backup-before-apply list` shows the safety sets");
  }
  state.module = string_member(*json, "module").value_or("");
  state.container = string_member(*json, "container").value_or("");
  state.set = string_member(*json, "set").value_or("");
  state.safety_set = *safety_set;
  state.time = *time;
  state.whole = bool_member(*json, "whole").value_or(false);
  state.unfinished = *unfinished;
  return state;
}

}  // namespace

void write_in_place_state(const std::string& state_directory, const InPlaceState& state) {
  write_state_file(state_directory, state.module + std::string(suffix),
                   pretty_json(Json{{"module", state.module},
                                    {"container", state.container},
                                    {"set", state.set},
                                    {"safety_set", state.safety_set},
                                    {"time", format_compact(state.time)},
                                    {"whole", state.whole},
                                    {"unfinished", state.unfinished}}));
}

std::optional<InPlaceState> in_place_state(const std::string& state_directory,
                                           const std::string& module) {
  const std::string path = path_of(state_directory, module);
  if (::access(path.c_str(), F_OK) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw system_error(ErrorKind::storage, path, errno);
  }
  return read_state(path);
}

std::vector<InPlaceState> in_place_states(const std::string& state_directory) {
  std::vector<InPlaceState> states;
  for (const std::string& name : state_files(state_directory, suffix)) {
    states.push_back(read_state(state_directory + '/' + name));
  }
  std::sort(states.begin(), states.end(),
            [](const InPlaceState& a, const InPlaceState& b) { return a.module < b.module; });
  return states;
}

std::string broken_off(const InPlaceState& state) {
  return fmt::format(
      "restore in place: {}: it was broken off, and {} may have something between what it had and "
      "what is in {}; what it had is in the safety set {}",
      state.module, state.container, state.set, state.safety_set);
}

std::string settle_whole(const std::string& state_directory, InPlaceState state) {
  state.unfinished = false;
  write_in_place_state(state_directory, state);
  return fmt::format(
      "restore in place: {}: it was broken off; {} has either what it had or what is in {}, as it "
      "takes it as a whole; `backup-before-apply restore {} --undo` brings back what it had",
      state.module, state.container, state.set, state.module);
}

void remove_in_place_state(const std::string& state_directory, const std::string& module) {
  const std::string path = path_of(state_directory, module);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
    throw system_error(ErrorKind::storage, "removing " + path, errno);
  }
}

}  // namespace bba::run
