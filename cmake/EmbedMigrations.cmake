# Turns migrations/<kind>/NNNN_name.sql into a C++ source: run with -DFOLDER -DFUNCTION -DOUTPUT.
file(GLOB files ${FOLDER}/*.sql)
list(SORT files)
set(entries "")
set(count 0)
foreach(file ${files})
  get_filename_component(name ${file} NAME_WE)
  string(REGEX MATCH "^([0-9]+)_" unused ${name})
  math(EXPR number "${CMAKE_MATCH_1}")
  file(READ ${file} sql)
  string(APPEND entries "    {${number}, \"${name}\", R\"sql(${sql})sql\"},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUTPUT}
"#include <array>

#include \"server/store/migrator.h\"

namespace drawbridge {

std::span<const Migration> ${FUNCTION}() {
  static const std::array<Migration, ${count}> migrations = {{
${entries}  }};
  return migrations;
}

}  // namespace drawbridge
")
