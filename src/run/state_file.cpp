#include "state_file.hpp"

#include <filesystem>

#include "bba/base/error.hpp"
#include "bba/store/artifact_file.hpp"

namespace bba::run {

namespace {

constexpr unsigned mode = 0600;

}  // namespace

void write_state_file(const std::string& state_directory, const std::string& name,
                      const std::string& text) {
  const auto directory = store::OwnedDirectory::open_or_create(state_directory);
  if (directory.contains(name)) {
    return store::replace_file(directory.fd(), directory.path() + '/' + name, text, mode);
  }
  store::ArtifactFile file(directory);
  file.write(as_bytes(text));
  file.sync();
  file.publish(name);
  directory.sync();
}

void remove_state_file(const std::string& state_directory, const std::string& name) {
  const auto directory = store::OwnedDirectory::open_existing(state_directory);
  if (directory.contains(name)) directory.remove(name);
  directory.sync();
}

std::vector<std::string> state_files(const std::string& state_directory, std::string_view suffix) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(state_directory, error), end; !error && it != end;
       it.increment(error)) {
    std::string name = it->path().filename().string();
    if (name.ends_with(suffix)) names.push_back(std::move(name));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw system_error(ErrorKind::storage, state_directory, error.value());
  }
  return names;
}

}  // namespace bba::run
