// The one error type of the program: what went wrong, where (a chain of contexts), why, and what to
// do about it. wire/ alone reports by value; everything else throws this.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace bba {

// What an error means to the operator. cli/exit_code.hpp maps each to one exit status.
enum class ErrorKind {
  internal,     // a bug in the program
  usage,        // wrong use of the command line
  config,       // configuration, module or class not valid
  container,    // container not found, ambiguous, or in a state that cannot be backed up
  engine,       // the Docker Engine is unreachable, refused, or does not speak its own protocol
  capture,      // the capture failed, or the restore: everything is as it was
  artifact,     // an artifact is not what its manifest, or its own format, says
  storage,      // permissions, no space, write error
  busy,         // another run holds this module
  gate,         // the gate refuses
  unfinished,   // a restore could be neither finished nor undone
  timeout,      // a time limit was passed
  interrupted,  // SIGINT
  terminated,   // SIGTERM
};

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string_view cause, std::string hint = {});

  // Adds the next outer context ("backing up postgres"). Returns *this so that a catch block reads
  // `throw error.in("...")` or, to keep the object, `error.in("..."); throw;`.
  Error& in(std::string_view context);
  Error& with_kind(ErrorKind kind) noexcept {
    kind_ = kind;
    return *this;
  }
  Error& with_hint(std::string hint) {
    hint_ = std::move(hint);
    return *this;
  }

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& hint() const noexcept { return hint_; }
  // "outermost: ...: cause", always one line: control characters are shown escaped.
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorKind kind_;
  std::string hint_;
  std::string message_;  // the contexts and the cause
};

// The error of a failed system call. ENOSPC, EDQUOT, EACCES, EPERM, EFBIG and EROFS come with a
// hint.
Error system_error(ErrorKind kind, std::string_view what, int error_number);

// Runs `action`; adds `context` to an Error that it throws.
template <class Action>
decltype(auto) with_context(std::string_view context, Action&& action) {
  try {
    return std::forward<Action>(action)();
  } catch (Error& error) {
    error.in(context);
    throw;
  }
}

}  // namespace bba
