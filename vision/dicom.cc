// vision/dicom.h through DCMTK: the one C++ file of the program. Nothing thrown leaves it.
#include "vision/dicom.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dcistrmf.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmimage/diregist.h>
#include <dcmtk/dcmimgle/dcmimage.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <dcmtk/oflog/oflog.h>

#include "runtime/memory.h"

namespace {

const char missing_spacing[] = "PixelSpacing (0028,0030), ImagerPixelSpacing (0018,1164)";

// Decoders of compressed pixels, registered once; DCMTK is not to write to standard error.
void start() {
  static const bool started = [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
    DcmRLEDecoderRegistration::registerCodecs();
    return true;
  }();
  (void)started;
}

mv_status failed(mv_error *err, const char *what, const OFCondition &why) {
  return mv_fail(err, MV_ERR_FORMAT, "%s: %s", what, why.text());
}

// What a file says of its pixels.
struct header {
  int rows = 0, columns = 0, samples = 1, allocated = 0, stored = 0, high_bit = 0, is_signed = 0;
  int frames = 1;
  bool inverted = false;
  double slope = 1, intercept = 0;
  bool has_window = false;
  double center = 0, width = 0;
  double row_mm = 0, column_mm = 0;  // between rows, between columns; 0 when not known
  const char *spacing_tag = missing_spacing;
  std::string series, transfer;
  bool has_place = false;
  double position[3] = {0, 0, 0}, orientation[6] = {1, 0, 0, 0, 1, 0};
  double slice_mm = 0;
  long instance = 0;
};

int number(DcmItem *set, const DcmTagKey &tag, int otherwise) {
  Uint16 v = 0;
  return set->findAndGetUint16(tag, v).good() ? v : otherwise;
}

bool real(DcmItem *set, const DcmTagKey &tag, double *out, unsigned long at = 0,
          bool inside = false) {
  Float64 v = 0;
  if (set->findAndGetFloat64(tag, v, at, inside).bad() || !std::isfinite(v)) return false;
  *out = v;
  return true;
}

// Spacing between rows and columns, from the first tag that has it.
void read_spacing(DcmItem *set, header *h) {
  static const struct {
    DcmTagKey tag;
    const char *name;
  } tags[] = {{DCM_PixelSpacing, "PixelSpacing (0028,0030)"},
              {DCM_ImagerPixelSpacing, "ImagerPixelSpacing (0018,1164)"},
              {DCM_NominalScannedPixelSpacing, "NominalScannedPixelSpacing (0018,2010)"}};
  for (const auto &t : tags) {
    double row = 0, column = 0;
    if (!real(set, t.tag, &row, 0, true) || !real(set, t.tag, &column, 1, true)) continue;
    if (!(row > 0) || !(column > 0)) continue;
    h->row_mm = row, h->column_mm = column, h->spacing_tag = t.name;
    return;
  }
  // Ultrasound: the first region, where its units are centimetres.
  DcmItem *region = nullptr;
  Uint16 unit_x = 0, unit_y = 0;
  double x = 0, y = 0;
  if (set->findAndGetSequenceItem(DCM_SequenceOfUltrasoundRegions, region, 0).good() && region &&
      region->findAndGetUint16(DCM_PhysicalUnitsXDirection, unit_x).good() && unit_x == 3 &&
      region->findAndGetUint16(DCM_PhysicalUnitsYDirection, unit_y).good() && unit_y == 3 &&
      real(region, DCM_PhysicalDeltaX, &x) && real(region, DCM_PhysicalDeltaY, &y) && x != 0 &&
      y != 0) {
    h->row_mm = std::fabs(y) * 10, h->column_mm = std::fabs(x) * 10;
    h->spacing_tag = "PhysicalDeltaX (0018,602C)";
  }
}

void read_place(DcmItem *set, header *h) {
  bool found = true;
  for (unsigned long i = 0; i < 3; i++)
    found &= real(set, DCM_ImagePositionPatient, &h->position[i], i, true);
  for (unsigned long i = 0; i < 6; i++)
    found &= real(set, DCM_ImageOrientationPatient, &h->orientation[i], i, true);
  h->has_place = found;
  Sint32 instance = 0;
  if (set->findAndGetSint32(DCM_InstanceNumber, instance).good()) h->instance = instance;
  if (!real(set, DCM_SpacingBetweenSlices, &h->slice_mm, 0, true))
    real(set, DCM_SliceThickness, &h->slice_mm, 0, true);
}

mv_status read_header(DcmItem *set, header *h, mv_error *err) {
  OFString text;
  Sint32 frames = 1;
  h->rows = number(set, DCM_Rows, 0), h->columns = number(set, DCM_Columns, 0);
  h->samples = number(set, DCM_SamplesPerPixel, 1);
  h->allocated = number(set, DCM_BitsAllocated, 0);
  h->stored = number(set, DCM_BitsStored, h->allocated);
  h->high_bit = number(set, DCM_HighBit, h->stored - 1);
  h->is_signed = number(set, DCM_PixelRepresentation, 0);
  if (set->findAndGetSint32(DCM_NumberOfFrames, frames).good() && frames > 0) h->frames = frames;
  if (set->findAndGetOFString(DCM_PhotometricInterpretation, text).good())
    h->inverted = text == "MONOCHROME1";
  if (set->findAndGetOFString(DCM_SeriesInstanceUID, text).good()) h->series = text.c_str();
  real(set, DCM_RescaleSlope, &h->slope, 0, true);
  real(set, DCM_RescaleIntercept, &h->intercept, 0, true);
  h->has_window = real(set, DCM_WindowCenter, &h->center, 0, true) &&
                  real(set, DCM_WindowWidth, &h->width, 0, true) && h->width >= 1;
  read_spacing(set, h);
  read_place(set, h);
  if (h->rows < 1 || h->columns < 1)
    return mv_fail(err, MV_ERR_FORMAT,
                   "Rows (0028,0010) and Columns (0028,0011): expected sizes, found %d x %d",
                   h->columns, h->rows);
  if ((double)h->rows * h->columns > MV_IMAGE_MAX_PIXELS)
    return mv_fail(err, MV_ERR_SHAPE, "%d x %d pixels: the limit is %d pixels", h->columns, h->rows,
                   MV_IMAGE_MAX_PIXELS);
  if (h->samples == 1 &&
      ((h->allocated != 8 && h->allocated != 16 && h->allocated != 32) || h->stored < 1 ||
       h->stored > h->allocated || h->high_bit >= h->allocated || h->high_bit + 1 < h->stored))
    return mv_fail(err, MV_ERR_UNSUPPORTED, "pixels of %d bits in %d: expected 8, 16 or 32",
                   h->stored, h->allocated);
  return MV_OK;
}

// DCMTK follows sequences in sequences by recursion, and inflates without an end. What it gets to
// read is bounded here: so many items, which is as deep as they can lie, and a stack for them.
const size_t max_items = 50000, stack_bytes = (size_t)512 << 20;
const size_t inflated_bytes = (size_t)64 << 20, inflated_ratio = 16;

// The data set's bytes, inflated where the file says so; the meta header goes into `file`.
mv_status read_bytes(const char *path, DcmFileFormat *file, E_TransferSyntax *transfer,
                     std::vector<char> *out, mv_error *err) {
  DcmInputFileStream in{OFFilename(path)};
  DcmMetaInfo *meta = file->getMetaInfo();
  struct stat info = {};
  OFString uid;
  meta->transferInit();
  OFCondition done = meta->read(in);
  meta->transferEnd();
  if (done.bad()) return failed(err, "cannot be read as DICOM", done);
  meta->findAndGetOFString(DCM_TransferSyntaxUID, uid);
  DcmXfer named(uid.c_str());
  *transfer = named.getXfer();
  bool deflated = named.getStreamCompression() != ESC_none;
  if (deflated && in.installCompressionFilter(named.getStreamCompression()).bad())
    return mv_fail(err, MV_ERR_UNSUPPORTED, "deflated, which this DCMTK does not read");
  size_t limit = stat(path, &info) == 0 ? (size_t)info.st_size : 0, n = 0;
  if (deflated) limit = inflated_bytes + inflated_ratio * limit;
  do {
    out->resize(n + (1 << 20));
    size_t got = (size_t)in.read(out->data() + n, 1 << 20);
    if (!got && (!in.good() || in.eos())) break;
    n += got;
  } while (n <= limit);
  if (n > limit) return mv_fail(err, MV_ERR_SHAPE, "inflates to more than %zu bytes", limit);
  if (in.status().bad() && in.status() != EC_EndOfStream)
    return failed(err, "damaged", in.status());
  out->resize(n);
  return MV_OK;
}

// Every level of a sequence begins with an item's tag, in either byte order.
mv_status check_items(const std::vector<char> &bytes, mv_error *err) {
  static const char little[] = {'\xfe', '\xff', 0, '\xe0'}, big[] = {'\xff', '\xfe', '\xe0', 0};
  size_t n_item = 0;
  for (size_t i = 0; i + 4 <= bytes.size(); i++)
    n_item += !std::memcmp(&bytes[i], little, 4) || !std::memcmp(&bytes[i], big, 4);
  if (n_item <= max_items) return MV_OK;
  return mv_fail(err, MV_ERR_SHAPE, "%zu items: the limit is %zu", n_item, max_items);
}

mv_status open(DcmFileFormat *file, const char *path, header *h, mv_error *err) {
  start();
  std::vector<char> bytes;
  E_TransferSyntax transfer = EXS_Unknown;
  MV_TRY(read_bytes(path, file, &transfer, &bytes, err));
  MV_TRY(check_items(bytes, err));
  if (DcmXfer(transfer).getStreamCompression() != ESC_none) transfer = EXS_LittleEndianExplicit;
  DcmInputBufferStream in;
  in.setBuffer(bytes.data(), (offile_off_t)bytes.size());
  in.setEos();
  file->getDataset()->transferInit();
  OFCondition done = file->getDataset()->read(in, transfer);
  file->getDataset()->transferEnd();
  if (done.bad()) return failed(err, "cannot be read as DICOM", done);
  h->transfer = DcmXfer(file->getDataset()->getOriginalXfer()).getXferName();
  return read_header(file->getDataset(), h, err);
}

// One raw sample, its unused bits cut off and its sign extended.
double sample(const header &h, uint32_t raw) {
  raw >>= h.high_bit + 1 - h.stored;
  uint32_t mask = h.stored < 32 ? (1u << h.stored) - 1 : 0xffffffffu;
  raw &= mask;
  if (h.is_signed && h.stored < 32 && (raw >> (h.stored - 1) & 1u))
    return (double)raw - (double)mask - 1;
  return h.is_signed ? (double)(int32_t)raw : (double)raw;
}

// All frames of a one-sample image as values; MONOCHROME1 turned over.
mv_status values(DcmFileFormat *file, const header &h, float *out, mv_error *err) {
  DcmDataset *set = file->getDataset();
  OFCondition done = set->chooseRepresentation(EXS_LittleEndianExplicit, nullptr);
  if (done.bad())
    return mv_fail(err, MV_ERR_UNSUPPORTED, "transfer syntax %s cannot be decoded: %s",
                   h.transfer.c_str(), done.text());
  size_t n = (size_t)h.rows * (size_t)h.columns * (size_t)h.frames;
  const Uint8 *bytes = nullptr;
  const Uint16 *shorts = nullptr;
  const Uint32 *words = nullptr;
  unsigned long count = 0;
  DcmElement *element = nullptr;
  if (set->findAndGetElement(DCM_PixelData, element).bad() || !element)
    return mv_fail(err, MV_ERR_FORMAT, "PixelData (7FE0,0010) is missing");
  size_t need = n * (size_t)(h.allocated / 8);
  if (element->getLength() < need)
    return mv_fail(err, MV_ERR_FORMAT, "PixelData (7FE0,0010): expected %zu bytes, found %lu", need,
                   (unsigned long)element->getLength());
  if (h.allocated == 8 && set->findAndGetUint8Array(DCM_PixelData, bytes, &count).bad())
    bytes = nullptr;
  if ((h.allocated != 8 || !bytes) &&
      set->findAndGetUint16Array(DCM_PixelData, shorts, &count).bad())
    return mv_fail(err, MV_ERR_FORMAT, "PixelData (7FE0,0010) cannot be read");
  if (!bytes) bytes = reinterpret_cast<const Uint8 *>(shorts);
  (void)words;
  double low = h.is_signed ? -std::ldexp(1, h.stored - 1) : 0,
         high = low + std::ldexp(1, h.stored) - 1;
  for (size_t i = 0; i < n; i++) {
    uint32_t raw = 0;
    std::memcpy(&raw, bytes + i * (size_t)(h.allocated / 8), (size_t)(h.allocated / 8));
    double v = sample(h, raw);
    if (h.inverted) v = low + high - v;
    out[i] = (float)(v * h.slope + h.intercept);
  }
  return MV_OK;
}

// DICOM's linear window (PS3.3 C.11.2.1.2.1).
void window(const header &h, const float *in, size_t n, uint8_t *out) {
  double center = h.center, width = h.width;
  if (h.inverted) {  // the window is that of the values as stored
    double low = h.is_signed ? -std::ldexp(1, h.stored - 1) : 0,
           high = low + std::ldexp(1, h.stored) - 1;
    center = (low + high) * h.slope + 2 * h.intercept - center;
  }
  for (size_t i = 0; i < n; i++) {
    double x = (double)in[i], y;
    if (x <= center - 0.5 - (width - 1) / 2)
      y = 0;
    else if (x > center - 0.5 + (width - 1) / 2)
      y = 255;
    else
      y = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255;
    out[i] = (uint8_t)(y + 0.5);
  }
}

mv_status grey_picture(DcmFileFormat *file, const header &h, mv_dicom_picture *out, mv_error *err) {
  size_t n = (size_t)h.rows * (size_t)h.columns;
  size_t all;
  if (!mv_mul_size(n, (size_t)h.frames, &all) || all > (size_t)1 << 33)
    return mv_fail(err, MV_ERR_SHAPE, "%d frames of %d x %d pixels are too many", h.frames,
                   h.columns, h.rows);
  float *px = static_cast<float *>(mv_calloc(all, sizeof(float)));
  if (!px) return mv_fail(err, MV_ERR_MEMORY, "out of memory for %zu pixels", all);
  mv_status status = values(file, h, px, err);
  mv_slice slice = {h.rows, h.columns, px, 0, 0};
  if (status == MV_OK && h.has_window) {
    status = mv_image_init(&out->image, h.columns, h.rows, 1, err);
    if (status == MV_OK) window(h, px, n, out->image.px);
  } else if (status == MV_OK) {
    status = mv_slice_to_image(&slice, 0, 0, &out->image, err);
  }
  mv_free(px);
  return status;
}

// Colour (ultrasound, photographs, palettes) by DCMTK's own conversion.
mv_status colour_picture(DcmFileFormat *file, const header &h, mv_dicom_picture *out,
                         mv_error *err) {
  DicomImage image(file, file->getDataset()->getOriginalXfer(), CIF_MayDetachPixelData, 0, 1);
  if (image.getStatus() != EIS_Normal)
    return mv_fail(err, MV_ERR_UNSUPPORTED, "%s: %s", h.transfer.c_str(),
                   DicomImage::getString(image.getStatus()));
  int channels = image.isMonochrome() ? 1 : 3;
  MV_TRY(mv_image_init(&out->image, h.columns, h.rows, channels, err));
  size_t n = (size_t)h.rows * (size_t)h.columns * (size_t)channels;
  if (image.getWidth() != (unsigned long)h.columns || image.getHeight() != (unsigned long)h.rows ||
      image.getOutputDataSize(8) < n || !image.getOutputData(out->image.px, n, 8, 0, 0))
    return mv_fail(err, MV_ERR_FORMAT, "its colours cannot be read");
  return MV_OK;
}

mv_status load_picture(const char *path, mv_dicom_picture *out, mv_error *err) {
  DcmFileFormat file;
  header h;
  MV_TRY(open(&file, path, &h, err));
  OFString colours;
  file.getDataset()->findAndGetOFString(DCM_PhotometricInterpretation, colours);
  bool grey = h.samples == 1 && colours != "PALETTE COLOR";
  out->spacing_tag = h.spacing_tag;
  out->pixel_w = (float)h.column_mm, out->pixel_h = (float)h.row_mm;
  mv_status status = grey ? grey_picture(&file, h, out, err) : colour_picture(&file, h, out, err);
  out->image.orientation = 1;
  return status;
}

// ---- series ----

struct slice_file {
  std::string path;
  header h;
  double along = 0;  // mm along the normal
};

void normal_of(const header &h, double n[3]) {
  const double *o = h.orientation;
  n[0] = o[1] * o[5] - o[2] * o[4];
  n[1] = o[2] * o[3] - o[0] * o[5];
  n[2] = o[0] * o[4] - o[1] * o[3];
}

mv_status list_files(const char *path, std::vector<slice_file> *out, mv_error *err) {
  struct stat info;
  std::vector<std::string> names;
  if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
    DIR *dir = opendir(path);
    if (!dir) return mv_fail(err, MV_ERR_IO, "cannot be read: %s", std::strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir));)
      names.push_back(std::string(path) + "/" + entry->d_name);
    closedir(dir);
  } else {
    names.push_back(path);
  }
  std::sort(names.begin(), names.end());
  for (const std::string &name : names) {
    if (stat(name.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || !mv_dicom_is_file(name.c_str()))
      continue;
    slice_file s;
    DcmFileFormat file;
    s.path = name;
    mv_status status = open(&file, name.c_str(), &s.h, err);
    if (status == MV_ERR_FORMAT && s.h.rows == 0 && file.getDataset()->tagExists(DCM_SOPClassUID) &&
        !file.getDataset()->tagExists(DCM_PixelData))
      continue;  // a directory file, a report
    if (status != MV_OK) return mv_error_prefix(err, "%s", name.c_str() + (name.rfind('/') + 1));
    out->push_back(s);
  }
  if (out->empty())
    return mv_fail(err, MV_ERR_FORMAT,
                   "no DICOM pictures in this folder (files of the series belong in it directly)");
  return MV_OK;
}

mv_status check_series(const std::vector<slice_file> &files, mv_error *err) {
  const header &a = files[0].h;
  for (const slice_file &f : files) {
    const char *name = f.path.c_str() + (f.path.rfind('/') + 1);
    if (f.h.series != a.series)
      return mv_fail(err, MV_ERR_FORMAT,
                     "%s belongs to another series: expected one series in the folder", name);
    if (f.h.rows != a.rows || f.h.columns != a.columns || f.h.samples != 1)
      return mv_fail(err, MV_ERR_FORMAT,
                     "%s: expected %d x %d grey pixels as the slices before it, found %d x %d",
                     name, a.columns, a.rows, f.h.columns, f.h.rows);
    for (int i = 0; i < 6 && a.has_place; i++)
      if (!f.h.has_place || std::fabs(f.h.orientation[i] - a.orientation[i]) > 1e-3)
        return mv_fail(err, MV_ERR_FORMAT,
                       "%s: ImageOrientationPatient (0020,0037) differs from the slices before it",
                       name);
  }
  return MV_OK;
}

mv_status sort_series(std::vector<slice_file> *files, double *step, mv_error *err) {
  double n[3];
  bool placed = (*files)[0].h.has_place;
  normal_of((*files)[0].h, n);
  for (slice_file &f : *files)
    f.along = placed ? f.h.position[0] * n[0] + f.h.position[1] * n[1] + f.h.position[2] * n[2]
                     : (double)f.h.instance;
  std::stable_sort(files->begin(), files->end(),
                   [](const slice_file &a, const slice_file &b) { return a.along < b.along; });
  *step = (*files)[0].h.slice_mm;
  if (!placed || files->size() < 2) return MV_OK;
  size_t last = files->size() - 1;
  double mean = ((*files)[last].along - (*files)[0].along) / (double)last;
  for (size_t i = 1; i <= last; i++) {
    double gap = (*files)[i].along - (*files)[i - 1].along;
    if (!(mean > 0) || std::fabs(gap - mean) > 0.1 * mean)
      return mv_fail(
          err, MV_ERR_FORMAT,
          "%s: %.3f mm from the slice before it, %.3f on average: a slice is missing or double",
          (*files)[i].path.c_str() + ((*files)[i].path.rfind('/') + 1), gap, mean);
  }
  *step = mean;
  return MV_OK;
}

// DICOM's axes run to the left and to the back: RAS+ turns both over.
void set_geometry(mv_volume *v, const header &h, double step) {
  double n[3];
  normal_of(h, n);
  v->zoom[0] = (float)h.column_mm, v->zoom[1] = (float)h.row_mm, v->zoom[2] = (float)step;
  v->has_spacing = h.row_mm > 0 && h.column_mm > 0 && step > 0;
  v->spacing_tag =
      h.row_mm > 0 ? "SliceThickness (0018,0050), ImagePositionPatient (0020,0032)" : h.spacing_tag;
  for (int i = 0; i < 3; i++) {
    double sign = i < 2 ? -1 : 1;
    v->affine[i][0] = sign * h.orientation[i] * (h.column_mm > 0 ? h.column_mm : 1);
    v->affine[i][1] = sign * h.orientation[3 + i] * (h.row_mm > 0 ? h.row_mm : 1);
    v->affine[i][2] = sign * n[i] * (step > 0 ? step : 1);
    v->affine[i][3] = sign * h.position[i];
  }
}

mv_status open_series(mv_volume *v, mv_error *err) {
  std::vector<slice_file> files;
  double step = 0;
  MV_TRY(list_files(v->path, &files, err));
  MV_TRY(check_series(files, err));
  MV_TRY(sort_series(&files, &step, err));
  const header &a = files[0].h;
  if (files.size() > 1 && a.frames > 1)
    return mv_fail(err, MV_ERR_UNSUPPORTED, "several files of several frames each: give one file");
  size_t depth = files.size() > 1 ? files.size() : (size_t)a.frames,
         plane = (size_t)a.rows * (size_t)a.columns, all;
  if (depth > MV_VOLUME_MAX_SIDE || !mv_mul_size(plane, depth, &all) || all > (size_t)1 << 33)
    return mv_fail(err, MV_ERR_SHAPE, "%d x %d x %zu voxels are too many", a.columns, a.rows,
                   depth);
  v->voxels = static_cast<float *>(mv_calloc(all, sizeof(float)));
  if (!v->voxels) return mv_fail(err, MV_ERR_MEMORY, "out of memory for %zu voxels", all);
  for (size_t i = 0; i < files.size(); i++) {
    DcmFileFormat file;
    header h;
    mv_status status = open(&file, files[i].path.c_str(), &h, err);
    if (status == MV_OK &&
        (h.rows != a.rows || h.columns != a.columns || (files.size() > 1 && h.frames != 1)))
      status = mv_fail(err, MV_ERR_FORMAT, "changed while it was read");
    if (status == MV_OK) status = values(&file, h, v->voxels + i * plane, err);
    if (status != MV_OK)
      return mv_error_prefix(err, "%s", files[i].path.c_str() + (files[i].path.rfind('/') + 1));
  }
  v->dim[0] = a.columns, v->dim[1] = a.rows, v->dim[2] = (int)depth;
  v->n_frame = 1;
  set_geometry(v, a, step);
  return MV_OK;
}

// Work in a thread whose stack has room for max_items.
struct task {
  std::function<mv_status()> work;
  mv_status status;
  mv_error *err;
};

void *run(void *user) {
  task *t = static_cast<task *>(user);
  try {
    t->status = t->work();
  } catch (...) {
    t->status = mv_fail(t->err, MV_ERR_MEMORY, "out of memory");
  }
  return nullptr;
}

mv_status run_deep(mv_error *err, std::function<mv_status()> work) {
  task t = {work, MV_OK, err};
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  bool started = pthread_attr_setstacksize(&attributes, stack_bytes) == 0 &&
                 pthread_create(&thread, &attributes, run, &t) == 0;
  pthread_attr_destroy(&attributes);
  if (!started) return mv_fail(err, MV_ERR_MEMORY, "no thread for DICOM");
  pthread_join(thread, nullptr);
  return t.status;
}

}  // namespace

extern "C" mv_status mv_dicom_load_picture(const char *path, mv_dicom_picture *out, mv_error *err) {
  std::memset(out, 0, sizeof *out);
  mv_status status = run_deep(err, [=] { return load_picture(path, out, err); });
  if (status != MV_OK) {
    mv_error_prefix(err, "%s", path);
    mv_dicom_picture_free(out);
  }
  return status;
}

extern "C" mv_status mv_dicom_open_series(mv_volume *volume, mv_error *err) {
  return run_deep(err, [=] { return open_series(volume, err); });
}
