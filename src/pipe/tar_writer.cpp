#include <exception>
#include <memory>

#include <archive.h>
#include <archive_entry.h>

#include "bba/base/text.hpp"
#include "bba/pipe/tar.hpp"
#include "chunk_builder.hpp"

namespace bba::pipe {

namespace {

mode_t file_type(TarType type) {
  switch (type) {
    case TarType::file:
    case TarType::hard_link:
      return AE_IFREG;
    case TarType::symlink:
      return AE_IFLNK;
    case TarType::character_device:
      return AE_IFCHR;
    case TarType::block_device:
      return AE_IFBLK;
    case TarType::directory:
      return AE_IFDIR;
    case TarType::fifo:
      return AE_IFIFO;
  }
  throw Error(ErrorKind::internal, "a tar entry of no known type");
}

void require_name(const std::string& name, std::string_view what) {
  if (name.empty() || name.find('\0') != std::string::npos) {
    throw Error(ErrorKind::capture, fmt::format("a tar cannot hold {} '{}'", what, name));
  }
}

}  // namespace

struct TarWriter::Impl {
  struct FreeArchive {
    void operator()(archive* opened) const { archive_write_free(opened); }
  };
  struct FreeEntry {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
  };

  explicit Impl(Stage& next) : output(next), tar(archive_write_new()) {
    if (!tar) throw Error(ErrorKind::internal, "libarchive: no memory for a tar");
    check(archive_write_set_format_pax(tar.get()));
    // Names are bytes: libarchive would else translate them from the locale's character set, and
    // fail.
    check(archive_write_set_options(tar.get(), "hdrcharset=BINARY"));
    check(archive_write_set_bytes_per_block(tar.get(), 0));
    check(archive_write_open2(tar.get(), this, nullptr, &Impl::on_output, nullptr, nullptr));
  }

  // Freeing libarchive's writer writes the end of the tar, but an abandoned one must not look
  // complete.
  ~Impl() { abandoned = true; }

  // libarchive is C: an exception of the next stage is kept until it has returned. It is told of
  // success nevertheless, since it leaks memory once its output failed.
  static la_ssize_t on_output(archive*, void* self, const void* bytes, std::size_t size) {
    auto& impl = *static_cast<Impl*>(self);
    if (!impl.failure && !impl.abandoned) {
      try {
        impl.output.append({static_cast<const std::byte*>(bytes), size});
      } catch (...) {
        impl.failure = std::current_exception();
      }
    }
    return static_cast<la_ssize_t>(size);
  }

  void check(la_ssize_t result) {
    if (failure) std::rethrow_exception(failure);
    if (result >= 0) return;
    const char* const cause = archive_error_string(tar.get());
    throw Error(ErrorKind::capture, fmt::format("libarchive: {}", cause ? cause : "unknown error"))
        .in(path);
  }

  ChunkBuilder output;
  std::exception_ptr failure;
  bool abandoned = false;
  std::unique_ptr<archive, FreeArchive> tar;
  std::string path = "tar";
  std::uint64_t size = 0;
  std::uint64_t left = 0;
};

TarWriter::TarWriter(Stage& next) : impl_(std::make_unique<Impl>(next)) {}
TarWriter::~TarWriter() = default;

void TarWriter::begin(const TarEntry& entry) {
  require_name(entry.path, "the name");
  impl_->path = entry.path;
  if (entry.type != TarType::file && entry.size > 0) {
    throw Error(ErrorKind::capture, "only a file has content").in(entry.path);
  }
  const std::unique_ptr<archive_entry, Impl::FreeEntry> header(archive_entry_new());
  if (!header) throw Error(ErrorKind::internal, "libarchive: no memory for an entry");
  archive_entry_set_pathname(header.get(), entry.path.c_str());
  archive_entry_set_filetype(header.get(), file_type(entry.type));
  archive_entry_set_size(header.get(), static_cast<la_int64_t>(entry.size));
  archive_entry_set_perm(header.get(), static_cast<mode_t>(entry.mode & 07777));
  archive_entry_set_uid(header.get(), static_cast<la_int64_t>(entry.uid));
  archive_entry_set_gid(header.get(), static_cast<la_int64_t>(entry.gid));
  archive_entry_set_mtime(header.get(), entry.mtime, 0);
  if (entry.type == TarType::hard_link) {
    require_name(entry.link, "a link to");
    archive_entry_set_hardlink(header.get(), entry.link.c_str());
  } else if (entry.type == TarType::symlink) {
    require_name(entry.link, "a link to");
    archive_entry_set_symlink(header.get(), entry.link.c_str());
  } else if (entry.type == TarType::character_device || entry.type == TarType::block_device) {
    archive_entry_set_rdevmajor(header.get(), entry.dev_major);
    archive_entry_set_rdevminor(header.get(), entry.dev_minor);
  }
  for (const auto& [name, value] : entry.xattrs) {
    archive_entry_xattr_add_entry(header.get(), name.c_str(), value.data(), value.size());
  }
  impl_->check(archive_write_header(impl_->tar.get(), header.get()));
  impl_->size = impl_->left = entry.size;
}

void TarWriter::data(ByteView bytes) {
  // libarchive would silently drop what is too much, and fill up what is missing.
  if (bytes.size() > impl_->left) {
    throw Error(ErrorKind::capture,
                fmt::format("more than the {} bytes that were announced", impl_->size))
        .in(impl_->path);
  }
  while (!bytes.empty()) {
    const la_ssize_t taken = archive_write_data(impl_->tar.get(), bytes.data(), bytes.size());
    impl_->check(taken);
    bytes = bytes.subspan(static_cast<std::size_t>(taken));
    impl_->left -= static_cast<std::uint64_t>(taken);
  }
}

void TarWriter::end() {
  if (impl_->left > 0) {
    throw Error(
        ErrorKind::capture,
        fmt::format("{} of the {} bytes that were announced are missing", impl_->left, impl_->size))
        .in(impl_->path);
  }
  impl_->check(archive_write_finish_entry(impl_->tar.get()));
}

void TarWriter::finish() {
  impl_->path = "the end";
  impl_->check(archive_write_close(impl_->tar.get()));
  impl_->output.flush();
}

}  // namespace bba::pipe
