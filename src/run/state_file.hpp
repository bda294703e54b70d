// The small files of the state directory that outlive a run: what is parked, what was put aside.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bba::run {

// Written as a whole, mode 0600, whether there is one or not. Error{storage}.
void write_state_file(const std::string& state_directory, const std::string& name,
                      const std::string& text);
// One that is gone is no error.
void remove_state_file(const std::string& state_directory, const std::string& name);
// The names of those that end in `suffix`, in no order; none where there is no directory.
std::vector<std::string> state_files(const std::string& state_directory, std::string_view suffix);

}  // namespace bba::run
