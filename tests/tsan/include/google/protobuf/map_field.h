// Found before protobuf's own header under TSan, and hands it on as a plain build sees it.
//
// With __SANITIZE_THREAD__, protobuf 3.21's MapFieldBase has two counters more. Debian's libprotobuf
// is built without: it would find every map's members eight bytes off, and crash.
#pragma once

// Whatever the standard library does for TSan it does still: this header is where it decides that.
#include <version>

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
