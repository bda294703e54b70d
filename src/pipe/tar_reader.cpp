#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "bba/base/text.hpp"
#include "tar_header.hpp"

namespace bba::pipe {

namespace {

// Of the pax or GNU headers before one entry: what Go's archive/tar takes, too.
constexpr std::size_t extension_limit = 1024 * 1024;
// Of the zeros at the end: the two end blocks and the filling of a record, of which GNU tar's
// largest usual one is 1 MiB. More than that is not padding but content that was lost to zeros.
constexpr std::uint64_t end_limit = 1024 * 1024;

// A name in an error, shortened where it is very long.
std::string shown(const std::string& path) {
  constexpr std::size_t most = 300;
  return path.size() <= most ? path : path.substr(0, most) + "...";
}

// The size of `bytes` where all are zero.
std::size_t first_non_zero(ByteView bytes) {
  const auto found =
      std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; });
  return static_cast<std::size_t>(found - bytes.begin());
}

}  // namespace

struct TarReader::Impl {
  enum class State {
    header,     // at the first byte of a header block, or inside one
    extension,  // in the content of a pax or GNU header
    content,    // in the content of an entry
    padding,    // between the end of either and the next block
    end,        // after the first zero block
  };

  Impl(TarVisitor& shown_to, Stage* passed_to) : visitor(shown_to), next(passed_to) {}

  TarVisitor& visitor;
  Stage* const next;
  std::uint64_t kept = 0;

  State state = State::header;
  std::uint64_t offset = 0;  // of the first byte of the current chunk in the tar
  std::uint64_t content_left = 0;
  std::size_t padding_left = 0;
  std::uint64_t zeros = 0;  // seen at the end
  std::array<std::byte, tar_block> block{};
  std::size_t block_filled = 0;  // of a header block that is split over chunks

  TarEntry entry;  // the current one
  bool in_entry = false;
  bool dropping = false;  // the current entry is left out

  char extension_type = 0;  // 'x', 'g', 'L' or 'K' while in one
  std::string extension;
  std::size_t extension_bytes = 0;  // of all that came before the current entry
  std::optional<PaxRecords> pax;
  std::optional<std::string> gnu_path, gnu_link;
  std::uint64_t entry_offset = 0;

  // Passing on. Bytes [mark, ...) of the current chunk are not yet passed on; those from
  // `undecided_from` on belong to an entry of which the visitor has not been told yet. Where such
  // bytes end a chunk they are copied to `held`: headers only, so a few blocks.
  const Chunk* chunk = nullptr;
  std::size_t at = 0;
  std::size_t mark = 0;
  bool undecided = false;
  std::size_t undecided_from = 0;
  std::string held;

  void write(const Chunk& bytes);
  void finish();

  std::uint64_t position() const { return offset + at; }
  [[noreturn]] void refuse(std::uint64_t where, const std::string& cause) const {
    throw Error(ErrorKind::artifact, fmt::format("tar: at byte {}: {}", where, cause));
  }

  bool has_extension() const { return pax || gnu_path || gnu_link; }
  void take_header();
  void header(TarBlock bytes, std::uint64_t where);
  void begin_extension(const TarHeader& header, std::uint64_t where);
  void end_extension();
  void begin_entry(TarHeader header, std::uint64_t where);
  void end_entry();
  void begin_content(std::uint64_t size, State content_state);
  void end_content();
  void take_content();
  void take_padding();
  void take_end();

  void pass_until(std::size_t end);
  void decide(bool keep);
};

void TarReader::Impl::write(const Chunk& bytes) {
  chunk = &bytes;
  at = mark = undecided_from = 0;
  while (at < bytes.size()) {
    switch (state) {
      case State::header:
        take_header();
        break;
      case State::extension:
      case State::content:
        take_content();
        break;
      case State::padding:
        take_padding();
        break;
      case State::end:
        take_end();
        break;
    }
  }
  if (undecided) {
    pass_until(undecided_from);
    if (next) held += bytes.sub(undecided_from).text();
  } else if (!dropping) {
    pass_until(at);
  }
  offset += bytes.size();
  chunk = nullptr;
}

void TarReader::Impl::take_header() {
  const std::uint64_t where = position() - block_filled;
  if (!undecided) {
    undecided = true;
    undecided_from = at;
  }
  if (block_filled == 0 && chunk->size() - at >= tar_block) {
    const ByteView bytes = chunk->bytes().subspan(at, tar_block);
    at += tar_block;
    header(TarBlock(bytes), where);
    return;
  }
  const std::size_t size = std::min(tar_block - block_filled, chunk->size() - at);
  std::memcpy(block.data() + block_filled, chunk->bytes().data() + at, size);
  block_filled += size;
  at += size;
  if (block_filled < tar_block) return;
  block_filled = 0;
  header(block, where);
}

void TarReader::Impl::header(TarBlock bytes, std::uint64_t where) {
  if (!has_extension()) entry_offset = where;
  if (only_zeros(bytes)) {
    if (has_extension()) refuse(where, "the end, where the entry of a pax or GNU header should be");
    zeros = tar_block;
    state = State::end;
    decide(true);
    return;
  }
  TarHeader header;
  try {
    header = parse_tar_header(bytes);
  } catch (Error& error) {
    error.in(fmt::format("tar: at byte {}", where));
    throw;
  }
  switch (header.type) {
    case 'x':
    case 'g':
    case 'L':
    case 'K':
      begin_extension(header, where);
      break;
    default:
      begin_entry(std::move(header), where);
  }
}

void TarReader::Impl::begin_extension(const TarHeader& header, std::uint64_t where) {
  const bool repeated = header.type == 'x'   ? pax.has_value()
                        : header.type == 'L' ? gnu_path.has_value()
                        : header.type == 'K' ? gnu_link.has_value()
                                             : has_extension();
  if (repeated) refuse(where, "a pax or GNU header that cannot follow the entry's others");
  if (header.entry.size == 0) refuse(where, "a pax or GNU header without content");
  if (header.entry.size > extension_limit - extension_bytes) {
    refuse(where, fmt::format("{} bytes of pax or GNU headers before one entry",
                              header.entry.size + extension_bytes));
  }
  extension_type = header.type;
  extension.clear();
  extension_bytes += header.entry.size;
  begin_content(header.entry.size, State::extension);
}

void TarReader::Impl::end_extension() {
  try {
    if (extension_type == 'L') {
      gnu_path = parse_gnu_name(extension);
    } else if (extension_type == 'K') {
      gnu_link = parse_gnu_name(extension);
    } else if (extension_type == 'x') {
      pax = parse_pax_records(extension);
    } else {
      // Records for all entries that follow. Comments (as git archive writes them) change nothing;
      // no writer of backups uses others.
      for (const auto& [keyword, value] : parse_pax_records(extension)) {
        if (keyword != "comment") {
          throw Error(ErrorKind::artifact,
                      fmt::format("a global pax header sets {} for all entries", keyword));
        }
      }
    }
  } catch (Error& error) {
    error.in(fmt::format("tar: before byte {}", position()));
    throw;
  }
  if (extension_type == 'g') {
    extension_bytes = 0;
    decide(true);
  }
  extension_type = 0;
}

void TarReader::Impl::begin_entry(TarHeader header, std::uint64_t where) {
  entry = std::move(header.entry);
  try {
    apply_extensions(entry, pax ? *pax : PaxRecords{}, gnu_path, gnu_link);
    if (entry.path.empty()) throw Error(ErrorKind::artifact, "it has no name");
    const bool slash = entry.path.ends_with('/');
    while (entry.path.size() > 1 && entry.path.ends_with('/')) entry.path.pop_back();

    switch (header.type) {
      case '\0':
      case '0':
      case '7':
        entry.type = TarType::file;
        break;
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
        entry.type = static_cast<TarType>(header.type);
        break;
      default:
        throw Error(ErrorKind::artifact, fmt::format("its type '{}' is not known", header.type));
    }
    // v7 had no type for directories; GNU tar and libarchive read a name with a slash as one to
    // this day.
    if (entry.type == TarType::file && slash) {
      if (entry.size > 0) throw Error(ErrorKind::artifact, "a directory that has content");
      entry.type = TarType::directory;
    }
    // Readers differ in whether the content that a hard link claims is there (Go: no; libarchive:
    // in pax, yes), and no current writer lets it claim any. All agree that the other types have
    // none, whatever their size field says.
    if (entry.type == TarType::hard_link && entry.size > 0) {
      throw Error(ErrorKind::artifact, "a hard link that claims to have content");
    }
    if (entry.type != TarType::file) entry.size = 0;
    if (entry.type == TarType::hard_link || entry.type == TarType::symlink) {
      if (entry.link.empty()) throw Error(ErrorKind::artifact, "a link to nowhere");
    } else {
      entry.link.clear();
    }
  } catch (Error& error) {
    error.in(fmt::format("tar: at byte {}: {}", where, shown(entry.path)));
    throw;
  }
  entry.offset = entry_offset;
  pax.reset();
  gnu_path.reset();
  gnu_link.reset();
  extension_bytes = 0;

  in_entry = true;
  decide(visitor.entry(entry));
  if (!dropping) ++kept;
  begin_content(entry.size, State::content);
}

void TarReader::Impl::begin_content(std::uint64_t size, State content_state) {
  content_left = size;
  padding_left = static_cast<std::size_t>((tar_block - size % tar_block) % tar_block);
  state = content_state;
  if (size == 0) end_content();
}

void TarReader::Impl::take_content() {
  const auto size =
      static_cast<std::size_t>(std::min<std::uint64_t>(content_left, chunk->size() - at));
  const Chunk piece = chunk->sub(at, size);
  if (state == State::extension) {
    extension += piece.text();
  } else if (!dropping) {
    visitor.data(piece);
  }
  at += size;
  content_left -= size;
  if (content_left > 0) return;
  state = State::padding;
  if (padding_left == 0) end_content();
}

void TarReader::Impl::take_padding() {
  const std::size_t size = std::min(padding_left, chunk->size() - at);
  const std::size_t other = first_non_zero(chunk->bytes().subspan(at, size));
  if (other < size) {
    refuse(position() + other, in_entry
                                   ? "more than zeros after the content of " + shown(entry.path)
                                   : "more than zeros after a pax or GNU header");
  }
  at += size;
  padding_left -= size;
  if (padding_left == 0) end_content();
}

void TarReader::Impl::end_content() {
  state = State::header;
  if (in_entry) {
    end_entry();
  } else {
    end_extension();
  }
}

void TarReader::Impl::end_entry() {
  in_entry = false;
  if (dropping) {
    mark = at;
    dropping = false;
  } else {
    visitor.entry_end();
  }
}

void TarReader::Impl::take_end() {
  const std::size_t size = chunk->size() - at;
  const std::size_t before = first_non_zero(chunk->bytes().subspan(at));
  if (before < size) {
    refuse(position() + before, zeros + before < 2 * tar_block
                                    ? "data after a single zero block, where a second should be"
                                    : "trailing data after the end");
  }
  zeros += size;
  at += size;
  if (zeros > end_limit) {
    refuse(position(),
           fmt::format("more than {} zeros at the end: too many for padding", end_limit));
  }
}

// Passes on what is decided of the chunk, before `end`: what was held from earlier chunks comes
// first.
void TarReader::Impl::pass_until(std::size_t end) {
  if (!next || end == mark) return;
  if (!held.empty()) next->write(Chunk::copy_of(std::exchange(held, {})));
  next->write(chunk->sub(mark, end - mark));
  mark = end;
}

void TarReader::Impl::decide(bool keep) {
  undecided = false;
  dropping = !keep;
  if (keep) return;
  // `undecided_from` is 0 where the entry's headers began in an earlier chunk; all of them are in
  // `held`.
  pass_until(undecided_from);
  held.clear();
  mark = at;
}

void TarReader::Impl::finish() {
  const auto cut = [&](std::string_view inside, std::string_view detail = {}) {
    throw Error(ErrorKind::artifact,
                fmt::format("tar: cut inside {} at byte {}{}", inside, offset, detail));
  };
  const std::string owner = in_entry ? shown(entry.path) : "a pax or GNU header";
  switch (state) {
    case State::header:
      if (block_filled > 0) cut("a header");
      if (has_extension()) refuse(offset, "cut between a pax or GNU header and its entry");
      refuse(offset, "cut between two entries: the two zero blocks at the end are missing");
    case State::extension:
      cut(owner);
      break;
    case State::content:
      cut(owner, fmt::format(": {} of its {} bytes are missing", content_left, entry.size));
      break;
    case State::padding:
      cut("the padding of " + owner);
      break;
    case State::end:
      if (zeros < 2 * tar_block) cut("the two zero blocks of the end");
      if (zeros % tar_block != 0) refuse(offset, "the length is not a multiple of 512");
  }
  if (next) next->finish();
}

TarReader::TarReader(TarVisitor& visitor, Stage* next)
    : impl_(std::make_unique<Impl>(visitor, next)) {}
TarReader::~TarReader() = default;
void TarReader::write(const Chunk& chunk) {
  impl_->write(chunk);
}
void TarReader::finish() {
  impl_->finish();
}
std::uint64_t TarReader::entries() const noexcept {
  return impl_->kept;
}

}  // namespace bba::pipe
