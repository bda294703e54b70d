// The command line as a value: which command, with what. The only room that knows CLI11.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "terminal.hpp"

namespace bba::cli {

struct Options {
  std::string command;  // backup, plan, ...; empty where only text was asked for (help, version)
  std::string text;     // what --help or --version prints
  // Where the first word is not a command, and so taken for a module: the command that it may be a
  // typo of, or empty.
  std::string meant_command;

  // Global.
  std::optional<std::string> platform_root, backup_dir, config, host, state_dir, proof_dir;
  bool json = false;
  Terminal::Style style;
  std::optional<std::chrono::seconds> timeout;

  // For single commands.
  std::vector<std::string> modules;  // module ids, or references (artifacts, manifests)
  bool dry_run = false;
  std::optional<std::string> container;
  std::optional<char> module_class;
  std::optional<std::string> consistency;
  std::optional<std::string> compression;
  std::vector<std::string> paths;
  std::optional<std::string> format;  // of audit: table, json, markdown

  std::optional<std::uint64_t> memory;  // of drill

  // Of gate and prune.
  std::optional<std::string> reference;
  std::optional<std::chrono::seconds> max_age, keep_within;
  std::optional<std::string> require_proof;  // verified, drilled
  std::optional<double> max_shrink;          // a share: 0.8
  bool skip_image_check = false;
  bool accept_fallback = false;
  bool accept_incomplete = false;
  std::optional<std::size_t> keep_last;
  bool force = false;
  bool orphans = false;
  bool parked = false;

  // Of restore.
  bool undo = false;
  bool in_place = false;
  bool exact = false;
  bool new_cluster = false;
  bool yes = false;
  std::optional<std::chrono::seconds> wait;

  // __guard: the state directory, the journal.
  std::vector<std::string> guard;
};

// Throws Error{usage} with a hint.
Options parse_options(int argc, const char* const* argv);

}  // namespace bba::cli
