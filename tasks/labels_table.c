/* Made by tests/tasks/make_labels.py from the benchmark's tables: do not edit. */
#include "tasks/labels.h"

/* clang-format off */
const mv_label mv_labels[] = {
    {"adrenal gland", "Adrenal Gland", "adrenal gland"},
    {"anterior communicating artery", "Artery", "anterior communicating artery"},
    {"anterior hippocampus", "Brain", "hippocampus"},
    {"aorta", "Artery", "aorta"},
    {"basilar artery", "Artery", "basilar artery"},
    {"bladder", "Urinary System", "bladder"},
    {"brachiocephalic trunk", "Artery", "brachiocephalic trunk"},
    {"brain", "Brain", "brain"},
    {"brainstem", "Brain", "brainstem"},
    {"breast tumor", "Breast Tumor/Lesion", "breast tumor"},
    {"bridge", "Others", "others"},
    {"cerebellum", "Brain", "cerebellum"},
    {"clinically significant prostate cancer lesion",
     "Prostate Tumor/Lesion", "prostate cancer lesion"},
    {"cochlea", "Head-Neck", "cochlea"},
    {"colon", "Colon", "colon"},
    {"colon cancer primaries", "Colon Tumor/Lesion", "colon cancer"},
    {"costal cartilages", "Rib", "costal cartilages"},
    {"crown", "Others", "others"},
    {"cystic component", "Miscellaneous Tumor/Lesion", "miscellaneous tumor/lesion"},
    {"cystic component of brain", "Brain Tumor/Lesion", "brain cyst"},
    {"deep grey matter", "Brain", "grey matter"},
    {"duodenum", "Intestine", "duodenum"},
    {"edema", "Miscellaneous Tumor/Lesion", "miscellaneous tumor/lesion"},
    {"edema of brain", "Brain Tumor/Lesion", "brain edema"},
    {"enhancing brain tumor", "Brain Tumor/Lesion", "enhancing brain tumor"},
    {"enhancing brain tumor tissue", "Brain Tumor/Lesion", "enhancing brain tumor"},
    {"esophagus", "Esophagus", "esophagus"},
    {"external cerebrospinal fluid", "Brain", "cerebrospinal fluid"},
    {"femoral cartilage", "Knee Soft Tissue", "femoral cartilage"},
    {"femur", "Knee Bone", "femur"},
    {"gall bladder", "Gallbladder", "gallbladder"},
    {"gallbladder", "Gallbladder", "gallbladder"},
    {"gallstone", "Calculus", "gallstone"},
    {"grey matter", "Brain", "grey matter"},
    {"gross tumor volume of brain", "Brain Tumor/Lesion", "brain tumor"},
    {"heart", "Heart", "heart"},
    {"humerus", "Others", "humerus"},
    {"implant", "Others", "others"},
    {"inferior vena cava", "Vein", "inferior vena cava"},
    {"inferior vena cava (ivc)", "Vein", "inferior vena cava"},
    {"intervertebral discs", "Spine", "intervertebral discs"},
    {"kidney", "Kidney", "kidney"},
    {"kidney cyst", "Kidney Tumor/Lesion", "kidney cyst"},
    {"kidney stone", "Calculus", "kidney stone"},
    {"kidney tumor", "Kidney Tumor/Lesion", "kidney tumor"},
    {"lateral meniscus", "Knee Soft Tissue", "lateral meniscus"},
    {"lateral tibial cartilage", "Knee Soft Tissue", "lateral tibial cartilage"},
    {"left 10th rib", "Rib", "left 10th rib"},
    {"left 11th rib", "Rib", "left 11th rib"},
    {"left 12th rib", "Rib", "left 12th rib"},
    {"left 1st rib", "Rib", "left 1st rib"},
    {"left 2nd rib", "Rib", "left 2nd rib"},
    {"left 3rd rib", "Rib", "left 3rd rib"},
    {"left 4th rib", "Rib", "left 4th rib"},
    {"left 5th rib", "Rib", "left 5th rib"},
    {"left 6th rib", "Rib", "left 6th rib"},
    {"left 7th rib", "Rib", "left 7th rib"},
    {"left 8th rib", "Rib", "left 8th rib"},
    {"left 9th rib", "Rib", "left 9th rib"},
    {"left adrenal gland", "Adrenal Gland", "left adrenal gland"},
    {"left adrenal gland (lag)", "Adrenal Gland", "left adrenal gland"},
    {"left anterior cerebral artery", "Artery", "left anterior cerebral artery"},
    {"left atrial appendage", "Heart", "left atrial appendage"},
    {"left atrium", "Heart", "left atrium"},
    {"left atrium of heart", "Heart", "left atrium"},
    {"left autochthon", "Others", "left autochthon"},
    {"left brachiocephalic vein", "Vein", "left brachiocephalic vein"},
    {"left clavicle", "Others", "left clavicle"},
    {"left common carotid artery", "Artery", "left common carotid artery"},
    {"left femur", "Knee Bone", "left femur"},
    {"left gluteus maximus", "Hip", "left gluteus maximus"},
    {"left gluteus medius", "Hip", "left gluteus medius"},
    {"left gluteus minimus", "Hip", "left gluteus minimus"},
    {"left hip", "Hip", "left hip"},
    {"left humerus", "Others", "left humerus"},
    {"left iliac artery", "Artery", "left iliac artery"},
    {"left iliac vein", "Vein", "left iliac vein"},
    {"left iliopsoas", "Hip", "left iliopsoas"},
    {"left inferior alveolar canal", "Jawbone", "left inferior alveolar canal"},
    {"left internal carotid artery", "Artery", "left internal carotid artery"},
    {"left kidney", "Kidney", "left kidney"},
    {"left kidney cyst", "Kidney Tumor/Lesion", "left kidney cyst"},
    {"left lung", "Lung", "left lung"},
    {"left lung lower lobe", "Lung", "left lung lower lobe"},
    {"left lung upper lobe", "Lung", "left lung upper lobe"},
    {"left maxillary sinus", "Head-Neck", "left maxillary sinus"},
    {"left middle cerebral artery", "Artery", "left middle cerebral artery"},
    {"left optic nerve", "Head-Neck", "left optic nerve"},
    {"left parotid gland", "Head-Neck", "left parotid gland"},
    {"left posterior cerebral artery", "Artery", "left posterior cerebral artery"},
    {"left posterior communicating artery", "Artery", "left posterior communicating artery"},
    {"left scapula", "Others", "left scapula"},
    {"left subclavian artery", "Artery", "left subclavian artery"},
    {"left submandibular gland", "Head-Neck", "left submandibular gland"},
    {"left ventricle", "Heart", "left ventricle"},
    {"left ventricular cavity", "Heart", "left ventricular cavity"},
    {"left ventricular myocardium", "Heart", "left ventricular myocardium"},
    {"liver", "Liver", "liver"},
    {"liver cancer", "Liver Tumor/Lesion", "liver tumor"},
    {"liver cyst", "Liver Tumor/Lesion", "liver cyst"},
    {"liver tumor", "Liver Tumor/Lesion", "liver tumor"},
    {"liver tumour", "Liver Tumor/Lesion", "liver tumor"},
    {"liver vessel", "Liver", "liver vessel"},
    {"lower jawbone", "Jawbone", "lower jawbone"},
    {"lower left canine", "Tooth", "lower left canine"},
    {"lower left central incisor", "Tooth", "lower left central incisor"},
    {"lower left first molar", "Tooth", "lower left first molar"},
    {"lower left first premolar", "Tooth", "lower left first premolar"},
    {"lower left lateral incisor", "Tooth", "lower left lateral incisor"},
    {"lower left second molar", "Tooth", "lower left second molar"},
    {"lower left second premolar", "Tooth", "lower left second premolar"},
    {"lower left third molar (wisdom tooth)", "Tooth", "lower left third molar (wisdom tooth)"},
    {"lower right canine", "Tooth", "lower right canine"},
    {"lower right central incisor", "Tooth", "lower right central incisor"},
    {"lower right first molar", "Tooth", "lower right first molar"},
    {"lower right first premolar", "Tooth", "lower right first premolar"},
    {"lower right lateral incisor", "Tooth", "lower right lateral incisor"},
    {"lower right second molar", "Tooth", "lower right second molar"},
    {"lower right second premolar", "Tooth", "lower right second premolar"},
    {"lower right third molar (wisdom tooth)", "Tooth", "lower right third molar (wisdom tooth)"},
    {"lung cancer", "Lung Tumor/Lesion", "lung cancer"},
    {"lung nodule", "Lung Tumor/Lesion", "lung nodule"},
    {"mandible", "Jawbone", "mandible"},
    {"medial meniscus", "Knee Soft Tissue", "medial meniscus"},
    {"medial tibial cartilage", "Knee Soft Tissue", "medial tibial cartilage"},
    {"mediastinal lymph node", "Metastatic Lymph Node", "mediastinal lymph node"},
    {"metastatic lymph node", "Metastatic Lymph Node", "metastatic lymph node"},
    {"myocardium", "Heart", "myocardium"},
    {"na", "Others", "others"},
    {"non-enhancing brain tumor", "Brain Tumor/Lesion", "non-enhancing brain tumor"},
    {"non-enhancing brain tumor core", "Brain Tumor/Lesion", "non-enhancing brain tumor core"},
    {"optic chiasm", "Head-Neck", "optic chiasm"},
    {"pancreas", "Pancreas", "pancreas"},
    {"pancreas cancer", "Pancreas Tumor/Lesion", "pancreas cancer"},
    {"pancreatic cancer", "Pancreas Tumor/Lesion", "pancreatic cancer"},
    {"patellar cartilage", "Knee Soft Tissue", "patellar cartilage"},
    {"peripheral zone of prostate", "Prostate", "prostate"},
    {"peritumoral edema of brain", "Brain Tumor/Lesion", "brain edema"},
    {"pharynx", "Head-Neck", "pharynx"},
    {"portal and splenic veins", "Vein", "portal and splenic veins"},
    {"portal vein and splenic vein", "Vein", "portal and splenic vein"},
    {"postcava", "Vein", "postcava"},
    {"postcava (inferior vena cava)", "Vein", "postcava"},
    {"posterior hippocampus", "Brain", "hippocampus"},
    {"primary gross tumor volume (head & neck)", "Head-Neck Tumor/Lesion", "head & neck tumor"},
    {"prostate", "Prostate", "prostate"},
    {"prostate cancer lesion", "Prostate Tumor/Lesion", 0},
    {"prostate/uterus", "Others", "prostate/uterus"},
    {"pulmonary vein", "Vein", "pulmonary vein"},
    {"rectum", "Intestine", "rectum"},
    {"renal artery", "Artery", "renal artery"},
    {"renal vein", "Vein", "renal vein"},
    {"resection cavity of brain", "Brain Tumor/Lesion", "brain resection cavity"},
    {"right 10th rib", "Rib", "right 10th rib"},
    {"right 11th rib", "Rib", "right 11th rib"},
    {"right 12th rib", "Rib", "right 12th rib"},
    {"right 1st rib", "Rib", "right 1st rib"},
    {"right 2nd rib", "Rib", "right 2nd rib"},
    {"right 3rd rib", "Rib", "right 3rd rib"},
    {"right 4th rib", "Rib", "right 4th rib"},
    {"right 5th rib", "Rib", "right 5th rib"},
    {"right 6th rib", "Rib", "right 6th rib"},
    {"right 7th rib", "Rib", "right 7th rib"},
    {"right 8th rib", "Rib", "right 8th rib"},
    {"right 9th rib", "Rib", "right 9th rib"},
    {"right adrenal gland", "Adrenal Gland", "right adrenal gland"},
    {"right adrenal gland (rag)", "Adrenal Gland", "right adrenal gland"},
    {"right anterior cerebral artery", "Artery", "right anterior cerebral artery"},
    {"right autochthon", "Others", "right autochthon"},
    {"right brachiocephalic vein", "Vein", "right brachiocephalic vein"},
    {"right clavicle", "Others", "right clavicle"},
    {"right common carotid artery", "Artery", "right common carotid artery"},
    {"right femur", "Knee Bone", "right femur"},
    {"right gluteus maximus", "Hip", "right gluteus maximus"},
    {"right gluteus medius", "Hip", "right gluteus medius"},
    {"right gluteus minimus", "Hip", "right gluteus minimus"},
    {"right hip", "Hip", "right hip"},
    {"right humerus", "Others", "right humerus"},
    {"right iliac artery", "Artery", "right iliac artery"},
    {"right iliac vein", "Vein", "right iliac vein"},
    {"right iliopsoas", "Hip", "right iliopsoas"},
    {"right inferior alveolar canal", "Jawbone", "right inferior alveolar canal"},
    {"right internal carotid artery", "Artery", "right internal carotid artery"},
    {"right kidney", "Kidney", "right kidney"},
    {"right kidney cyst", "Kidney Tumor/Lesion", "right kidney cyst"},
    {"right lung", "Lung", "right lung"},
    {"right lung lower lobe", "Lung", "right lung lower lobe"},
    {"right lung middle lobe", "Lung", "right lung middle lobe"},
    {"right lung upper lobe", "Lung", "right lung upper lobe"},
    {"right maxillary sinus", "Head-Neck", "right maxillary sinus"},
    {"right middle cerebral artery", "Artery", "right middle cerebral artery"},
    {"right optic nerve", "Head-Neck", "right optic nerve"},
    {"right parotid gland", "Head-Neck", "right parotid gland"},
    {"right posterior cerebral artery", "Artery", "right posterior cerebral artery"},
    {"right posterior communicating artery", "Artery", "right posterior communicating artery"},
    {"right scapula", "Others", "right scapula"},
    {"right subclavian artery", "Artery", "right subclavian artery"},
    {"right submandibular gland", "Head-Neck", "right submandibular gland"},
    {"right ventricular cavity", "Heart", "right ventricular cavity"},
    {"sacrum", "Hip", "sacrum"},
    {"skull", "Brain", "skull"},
    {"small bowel", "Intestine", "small bowel"},
    {"spinal cord", "Spine", "spinal cord"},
    {"spleen", "Spleen", "spleen"},
    {"sternum", "Others", "sternum"},
    {"stomach", "Stomach", "stomach"},
    {"stroke infarct", "Brain Tumor/Lesion", "stroke infarct"},
    {"superior vena cava", "Vein", "superior vena cava"},
    {"surrounding non-enhancing flair hyperintensity of brain",
     "Brain Tumor/Lesion", "non-enhancing flair hyperintensity of brain"},
    {"third a2 segment", "Artery", "third a2 segment"},
    {"thyroid gland", "Head-Neck", "thyroid gland"},
    {"tibia", "Knee Bone", "tibia"},
    {"total tumor burden", "Miscellaneous Tumor/Lesion", "miscellaneous tumor/lesion"},
    {"trachea", "Head-Neck", "trachea"},
    {"transition zone of prostate", "Prostate", "prostate"},
    {"tumor", "Miscellaneous Tumor/Lesion", "miscellaneous tumor/lesion"},
    {"upper jawbone", "Jawbone", "upper jawbone"},
    {"upper left canine", "Tooth", "upper left canine"},
    {"upper left central incisor", "Tooth", "upper left central incisor"},
    {"upper left first molar", "Tooth", "upper left first molar"},
    {"upper left first premolar", "Tooth", "upper left first premolar"},
    {"upper left lateral incisor", "Tooth", "upper left lateral incisor"},
    {"upper left second molar", "Tooth", "upper left second molar"},
    {"upper left second premolar", "Tooth", "upper left second premolar"},
    {"upper left third molar (wisdom tooth)", "Tooth", "upper left third molar (wisdom tooth)"},
    {"upper right canine", "Tooth", "upper right canine"},
    {"upper right central incisor", "Tooth", "upper right central incisor"},
    {"upper right first molar", "Tooth", "upper right first molar"},
    {"upper right first premolar", "Tooth", "upper right first premolar"},
    {"upper right lateral incisor", "Tooth", "upper right lateral incisor"},
    {"upper right second molar", "Tooth", "upper right second molar"},
    {"upper right second premolar", "Tooth", "upper right second premolar"},
    {"upper right third molar (wisdom tooth)", "Tooth", "upper right third molar (wisdom tooth)"},
    {"urinary bladder", "Urinary System", "urinary bladder"},
    {"uterus", "Uterus", "uterus"},
    {"ventricles", "Brain", "ventricles"},
    {"vertebra C1", "Spine", "vertebra C1"},
    {"vertebra C2", "Spine", "vertebra C2"},
    {"vertebra C3", "Spine", "vertebra C3"},
    {"vertebra C4", "Spine", "vertebra C4"},
    {"vertebra C5", "Spine", "vertebra C5"},
    {"vertebra C6", "Spine", "vertebra C6"},
    {"vertebra C7", "Spine", "vertebra C7"},
    {"vertebra L1", "Spine", "vertebra L1"},
    {"vertebra L2", "Spine", "vertebra L2"},
    {"vertebra L3", "Spine", "vertebra L3"},
    {"vertebra L4", "Spine", "vertebra L4"},
    {"vertebra L5", "Spine", "vertebra L5"},
    {"vertebra L6", "Spine", "vertebra L6"},
    {"vertebra S1", "Spine", "vertebra S1"},
    {"vertebra T1", "Spine", "vertebra T1"},
    {"vertebra T10", "Spine", "vertebra T10"},
    {"vertebra T11", "Spine", "vertebra T11"},
    {"vertebra T12", "Spine", "vertebra T12"},
    {"vertebra T13", "Spine", "vertebra T13"},
    {"vertebra T2", "Spine", "vertebra T2"},
    {"vertebra T3", "Spine", "vertebra T3"},
    {"vertebra T4", "Spine", "vertebra T4"},
    {"vertebra T5", "Spine", "vertebra T5"},
    {"vertebra T6", "Spine", "vertebra T6"},
    {"vertebra T7", "Spine", "vertebra T7"},
    {"vertebra T8", "Spine", "vertebra T8"},
    {"vertebra T9", "Spine", "vertebra T9"},
    {"vertebrae", "Spine", "vertebrae"},
    {"vestibular schwannoma", "Head-Neck Tumor/Lesion", "vestibular schwannoma"},
    {"white matter", "Brain", "white matter"},
};
const int mv_n_label = (int)(sizeof mv_labels / sizeof *mv_labels);

const mv_ct_window mv_ct_windows[] = {
    {"Artery", 400, 40},
    {"Vein", 400, 40},
    {"Brain", 80, 40},
    {"Brain Tumor/Lesion", 80, 40},
    {"Heart", 400, 40},
    {"Lung", 1500, -600},
    {"Lung Tumor/Lesion", 1500, -600},
    {"Liver", 400, 40},
    {"Liver Tumor/Lesion", 400, 40},
    {"Kidney", 400, 40},
    {"Kidney Tumor/Lesion", 400, 40},
    {"Pancreas", 400, 40},
    {"Pancreas Tumor/Lesion", 400, 40},
    {"Gallbladder", 400, 40},
    {"Spleen", 400, 40},
    {"Adrenal Gland", 400, 40},
    {"Colon", 400, 40},
    {"Colon Tumor/Lesion", 400, 40},
    {"Intestine", 400, 40},
    {"Esophagus", 400, 40},
    {"Stomach", 400, 40},
    {"Urinary System", 400, 40},
    {"Uterus", 400, 40},
    {"Prostate", 400, 40},
    {"Prostate Tumor/Lesion", 400, 40},
    {"Breast Tumor/Lesion", 400, 40},
    {"Head-Neck", 400, 40},
    {"Head-Neck Tumor/Lesion", 400, 40},
    {"Hip", 1800, 400},
    {"Rib", 1800, 400},
    {"Spine", 1800, 400},
    {"Knee Bone", 1800, 400},
    {"Knee Soft Tissue", 400, 40},
    {"Metastatic Lymph Node", 400, 40},
    {"Miscellaneous Tumor/Lesion", 400, 40},
    {"Jawbone", 1800, 400},
    {"Tooth", 1800, 400},
    {"Calculus", 1800, 400},
};
const int mv_n_ct_window = (int)(sizeof mv_ct_windows / sizeof *mv_ct_windows);

/* JSON, a data set a piece: what --plan reads. */
const char *const mv_plan_builtin[] = {
    "{\"AMOS22\":{\"detection\":[{\"image_modality\":\"CT\",\"image_description\""
    ":\"abdominal computed tomography (CT) scan\",\"labels_map\":{\"1\":\"sple"
    "en\",\"2\":\"right kidney\",\"3\":\"left kidney\",\"4\":\"gall bladder\",\"5\":\"e"
    "sophagus\",\"6\":\"liver\",\"7\":\"stomach\",\"8\":\"aorta\",\"9\":\"postcava\",\"10"
    "\":\"pancreas\",\"11\":\"right adrenal gland\",\"12\":\"left adrenal gland\","
    "\"13\":\"duodenum\",\"14\":\"bladder\",\"15\":\"prostate/uterus\"}},{\"image_mo"
    "dality\":\"MRI\",\"image_description\":\"abdominal magnetic resonance im"
    "aging (MRI) scan\",\"labels_map\":{\"1\":\"spleen\",\"2\":\"right kidney\",\"3"
    "\":\"left kidney\",\"4\":\"gall bladder\",\"5\":\"esophagus\",\"6\":\"liver\",\"7\""
    ":\"stomach\",\"8\":\"aorta\",\"9\":\"postcava\",\"10\":\"pancreas\",\"11\":\"right "
    "adrenal gland\",\"12\":\"left adrenal gland\",\"13\":\"duodenum\",\"14\":\"bla"
    "dder\",\"15\":\"prostate/uterus\"}}],\"segmentation\":[{\"image_modality\":"
    "\"CT\",\"image_description\":\"abdominal computed tomography (CT) scan\""
    ",\"labels_map\":{\"1\":\"spleen\",\"2\":\"right kidney\",\"3\":\"left kidney\",\""
    "4\":\"gall bladder\",\"5\":\"esophagus\",\"6\":\"liver\",\"7\":\"stomach\",\"8\":\"a"
    "orta\",\"9\":\"postcava\",\"10\":\"pancreas\",\"11\":\"right adrenal gland\",\"1"
    "2\":\"left adrenal gland\",\"13\":\"duodenum\",\"14\":\"bladder\",\"15\":\"prost"
    "ate/uterus\"}},{\"image_modality\":\"MRI\",\"image_description\":\"abdomin"
    "al magnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"splee"
    "n\",\"2\":\"right kidney\",\"3\":\"left kidney\",\"4\":\"gall bladder\",\"5\":\"es"
    "ophagus\",\"6\":\"liver\",\"7\":\"stomach\",\"8\":\"aorta\",\"9\":\"postcava\",\"10\""
    ":\"pancreas\",\"11\":\"right adrenal gland\",\"12\":\"left adrenal gland\",\""
    "13\":\"duodenum\",\"14\":\"bladder\",\"15\":\"prostate/uterus\"}}]},\"BraTS24\""
    ":{\"biometry\":[{\"image_modality\":\"MRI\",\"image_description\":\"T2 Flui"
    "d Attenuated Inversion Recovery (FLAIR) brain magnetic resonance i"
    "maging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain tumor co"
    "re\",\"2\":\"surrounding non-enhancing flair hyperintensity of brain\","
    "\"3\":\"enhancing brain tumor tissue\",\"4\":\"resection cavity of brain\""
    "},\"target_label\":1},{\"image_modality\":\"MRI\",\"image_description\":\"T"
    "2 Fluid Attenuated Inversion Recovery (FLAIR) brain magnetic reson",
    "ance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain tu"
    "mor core\",\"2\":\"surrounding non-enhancing flair hyperintensity of b"
    "rain\",\"3\":\"enhancing brain tumor tissue\",\"4\":\"resection cavity of "
    "brain\"},\"target_label\":2},{\"image_modality\":\"MRI\",\"image_descripti"
    "on\":\"T2 Fluid Attenuated Inversion Recovery (FLAIR) brain magnetic"
    " resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing br"
    "ain tumor core\",\"2\":\"surrounding non-enhancing flair hyperintensit"
    "y of brain\",\"3\":\"enhancing brain tumor tissue\",\"4\":\"resection cavi"
    "ty of brain\"},\"target_label\":3},{\"image_modality\":\"MRI\",\"image_des"
    "cription\":\"T2 Fluid Attenuated Inversion Recovery (FLAIR) brain ma"
    "gnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhanc"
    "ing brain tumor core\",\"2\":\"surrounding non-enhancing flair hyperin"
    "tensity of brain\",\"3\":\"enhancing brain tumor tissue\",\"4\":\"resectio"
    "n cavity of brain\"},\"target_label\":4},{\"image_modality\":\"MRI\",\"ima"
    "ge_description\":\"contrast enhanced T1-weighted brain magnetic reso"
    "nance imaging (MRI) scan\",\"labels_map\":{\"1\":\"gross tumor volume of"
    " brain\"},\"target_label\":1},{\"image_modality\":\"MRI\",\"image_descript"
    "ion\":\"contrast enhanced T1-weighted brain magnetic resonance imagi"
    "ng (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain tumor core\","
    "\"2\":\"surrounding non-enhancing flair hyperintensity of brain\",\"3\":"
    "\"enhancing brain tumor tissue\"},\"target_label\":1},{\"image_modality"
    "\":\"MRI\",\"image_description\":\"contrast enhanced T1-weighted brain m"
    "agnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhan"
    "cing brain tumor core\",\"2\":\"surrounding non-enhancing flair hyperi"
    "ntensity of brain\",\"3\":\"enhancing brain tumor tissue\"},\"target_lab"
    "el\":2},{\"image_modality\":\"MRI\",\"image_description\":\"contrast enhan"
    "ced T1-weighted brain magnetic resonance imaging (MRI) scan\",\"labe"
    "ls_map\":{\"1\":\"non-enhancing brain tumor core\",\"2\":\"surrounding non"
    "-enhancing flair hyperintensity of brain\",\"3\":\"enhancing brain tum"
    "or tissue\"},\"target_label\":3},{\"image_modality\":\"MRI\",\"image_descr",
    "iption\":\"contrast enhanced T1-weighted brain magnetic resonance im"
    "aging (MRI) scan\",\"labels_map\":{\"1\":\"enhancing brain tumor\",\"2\":\"n"
    "on-enhancing brain tumor\",\"3\":\"cystic component of brain\",\"4\":\"per"
    "itumoral edema of brain\"},\"target_label\":1},{\"image_modality\":\"MRI"
    "\",\"image_description\":\"contrast enhanced T1-weighted brain magneti"
    "c resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"enhancing brain"
    " tumor\",\"2\":\"non-enhancing brain tumor\",\"3\":\"cystic component of b"
    "rain\",\"4\":\"peritumoral edema of brain\"},\"target_label\":2},{\"image_"
    "modality\":\"MRI\",\"image_description\":\"contrast enhanced T1-weighted"
    " brain magnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"e"
    "nhancing brain tumor\",\"2\":\"non-enhancing brain tumor\",\"3\":\"cystic "
    "component of brain\",\"4\":\"peritumoral edema of brain\"},\"target_labe"
    "l\":3},{\"image_modality\":\"MRI\",\"image_description\":\"contrast enhanc"
    "ed T1-weighted brain magnetic resonance imaging (MRI) scan\",\"label"
    "s_map\":{\"1\":\"enhancing brain tumor\",\"2\":\"non-enhancing brain tumor"
    "\",\"3\":\"cystic component of brain\",\"4\":\"peritumoral edema of brain\""
    "},\"target_label\":4}],\"detection\":[{\"image_modality\":\"MRI\",\"image_d"
    "escription\":\"gadolinium-enhanced T1-weighted brain magnetic resona"
    "nce imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain tum"
    "or core\",\"2\":\"surrounding non-enhancing flair hyperintensity of br"
    "ain\",\"3\":\"enhancing brain tumor tissue\",\"4\":\"resection cavity of b"
    "rain\"}},{\"image_modality\":\"MRI\",\"image_description\":\"non-contrast "
    "T1-weighted brain magnetic resonance imaging (MRI) scan\",\"labels_m"
    "ap\":{\"1\":\"non-enhancing brain tumor core\",\"2\":\"surrounding non-enh"
    "ancing flair hyperintensity of brain\",\"3\":\"enhancing brain tumor t"
    "issue\",\"4\":\"resection cavity of brain\"}},{\"image_modality\":\"MRI\",\""
    "image_description\":\"T2 Fluid Attenuated Inversion Recovery (FLAIR)"
    " brain magnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"n"
    "on-enhancing brain tumor core\",\"2\":\"surrounding non-enhancing flai"
    "r hyperintensity of brain\",\"3\":\"enhancing brain tumor tissue\",\"4\":",
    "\"resection cavity of brain\"}},{\"image_modality\":\"MRI\",\"image_descr"
    "iption\":\"T2-weighted brain magnetic resonance imaging (MRI) scan\","
    "\"labels_map\":{\"1\":\"non-enhancing brain tumor core\",\"2\":\"surroundin"
    "g non-enhancing flair hyperintensity of brain\",\"3\":\"enhancing brai"
    "n tumor tissue\",\"4\":\"resection cavity of brain\"}},{\"image_modality"
    "\":\"MRI\",\"image_description\":\"gadolinium-enhanced T1-weighted brain"
    " magnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"gross t"
    "umor volume of brain\"}},{\"image_modality\":\"MRI\",\"image_description"
    "\":\"gadolinium-enhanced T1-weighted brain magnetic resonance imagin"
    "g (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain tumor core\",\""
    "2\":\"surrounding non-enhancing flair hyperintensity of brain\",\"3\":\""
    "enhancing brain tumor tissue\"}},{\"image_modality\":\"MRI\",\"image_des"
    "cription\":\"non-contrast T1-weighted brain magnetic resonance imagi"
    "ng (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain tumor core\","
    "\"2\":\"surrounding non-enhancing flair hyperintensity of brain\",\"3\":"
    "\"enhancing brain tumor tissue\"}},{\"image_modality\":\"MRI\",\"image_de"
    "scription\":\"T2 Fluid Attenuated Inversion Recovery (FLAIR) brain m"
    "agnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhan"
    "cing brain tumor core\",\"2\":\"surrounding non-enhancing flair hyperi"
    "ntensity of brain\",\"3\":\"enhancing brain tumor tissue\"}},{\"image_mo"
    "dality\":\"MRI\",\"image_description\":\"T2-weighted brain magnetic reso"
    "nance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain t"
    "umor core\",\"2\":\"surrounding non-enhancing flair hyperintensity of "
    "brain\",\"3\":\"enhancing brain tumor tissue\"}},{\"image_modality\":\"MRI"
    "\",\"image_description\":\"gadolinium-enhanced T1-weighted brain magne"
    "tic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"enhancing bra"
    "in tumor\",\"2\":\"non-enhancing brain tumor\",\"3\":\"cystic component of"
    " brain\",\"4\":\"peritumoral edema of brain\"}},{\"image_modality\":\"MRI\""
    ",\"image_description\":\"non-contrast T1-weighted brain magnetic reso"
    "nance imaging (MRI) scan\",\"labels_map\":{\"1\":\"enhancing brain tumor",
    "\",\"2\":\"non-enhancing brain tumor\",\"3\":\"cystic component of brain\","
    "\"4\":\"peritumoral edema of brain\"}},{\"image_modality\":\"MRI\",\"image_"
    "description\":\"T2 Fluid Attenuated Inversion Recovery (FLAIR) brain"
    " magnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"enhanci"
    "ng brain tumor\",\"2\":\"non-enhancing brain tumor\",\"3\":\"cystic compon"
    "ent of brain\",\"4\":\"peritumoral edema of brain\"}},{\"image_modality\""
    ":\"MRI\",\"image_description\":\"T2-weighted brain magnetic resonance i"
    "maging (MRI) scan\",\"labels_map\":{\"1\":\"enhancing brain tumor\",\"2\":\""
    "non-enhancing brain tumor\",\"3\":\"cystic component of brain\",\"4\":\"pe"
    "ritumoral edema of brain\"}}],\"segmentation\":[{\"image_modality\":\"MR"
    "I\",\"image_description\":\"gadolinium-enhanced T1-weighted brain magn"
    "etic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancin"
    "g brain tumor core\",\"2\":\"surrounding non-enhancing flair hyperinte"
    "nsity of brain\",\"3\":\"enhancing brain tumor tissue\",\"4\":\"resection "
    "cavity of brain\"}},{\"image_modality\":\"MRI\",\"image_description\":\"no"
    "n-contrast T1-weighted brain magnetic resonance imaging (MRI) scan"
    "\",\"labels_map\":{\"1\":\"non-enhancing brain tumor core\",\"2\":\"surround"
    "ing non-enhancing flair hyperintensity of brain\",\"3\":\"enhancing br"
    "ain tumor tissue\",\"4\":\"resection cavity of brain\"}},{\"image_modali"
    "ty\":\"MRI\",\"image_description\":\"T2 Fluid Attenuated Inversion Recov"
    "ery (FLAIR) brain magnetic resonance imaging (MRI) scan\",\"labels_m"
    "ap\":{\"1\":\"non-enhancing brain tumor core\",\"2\":\"surrounding non-enh"
    "ancing flair hyperintensity of brain\",\"3\":\"enhancing brain tumor t"
    "issue\",\"4\":\"resection cavity of brain\"}},{\"image_modality\":\"MRI\",\""
    "image_description\":\"T2-weighted brain magnetic resonance imaging ("
    "MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain tumor core\",\"2\":"
    "\"surrounding non-enhancing flair hyperintensity of brain\",\"3\":\"enh"
    "ancing brain tumor tissue\",\"4\":\"resection cavity of brain\"}},{\"ima"
    "ge_modality\":\"MRI\",\"image_description\":\"gadolinium-enhanced T1-wei"
    "ghted brain magnetic resonance imaging (MRI) scan\",\"labels_map\":{\"",
    "1\":\"gross tumor volume of brain\"}},{\"image_modality\":\"MRI\",\"image_"
    "description\":\"gadolinium-enhanced T1-weighted brain magnetic reson"
    "ance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain tu"
    "mor core\",\"2\":\"surrounding non-enhancing flair hyperintensity of b"
    "rain\",\"3\":\"enhancing brain tumor tissue\"}},{\"image_modality\":\"MRI\""
    ",\"image_description\":\"non-contrast T1-weighted brain magnetic reso"
    "nance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhancing brain t"
    "umor core\",\"2\":\"surrounding non-enhancing flair hyperintensity of "
    "brain\",\"3\":\"enhancing brain tumor tissue\"}},{\"image_modality\":\"MRI"
    "\",\"image_description\":\"T2 Fluid Attenuated Inversion Recovery (FLA"
    "IR) brain magnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\""
    ":\"non-enhancing brain tumor core\",\"2\":\"surrounding non-enhancing f"
    "lair hyperintensity of brain\",\"3\":\"enhancing brain tumor tissue\"}}"
    ",{\"image_modality\":\"MRI\",\"image_description\":\"T2-weighted brain ma"
    "gnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"non-enhanc"
    "ing brain tumor core\",\"2\":\"surrounding non-enhancing flair hyperin"
    "tensity of brain\",\"3\":\"enhancing brain tumor tissue\"}},{\"image_mod"
    "ality\":\"MRI\",\"image_description\":\"gadolinium-enhanced T1-weighted "
    "brain magnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"en"
    "hancing brain tumor\",\"2\":\"non-enhancing brain tumor\",\"3\":\"cystic c"
    "omponent of brain\",\"4\":\"peritumoral edema of brain\"}},{\"image_moda"
    "lity\":\"MRI\",\"image_description\":\"non-contrast T1-weighted brain ma"
    "gnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"enhancing "
    "brain tumor\",\"2\":\"non-enhancing brain tumor\",\"3\":\"cystic component"
    " of brain\",\"4\":\"peritumoral edema of brain\"}},{\"image_modality\":\"M"
    "RI\",\"image_description\":\"T2 Fluid Attenuated Inversion Recovery (F"
    "LAIR) brain magnetic resonance imaging (MRI) scan\",\"labels_map\":{\""
    "1\":\"enhancing brain tumor\",\"2\":\"non-enhancing brain tumor\",\"3\":\"cy"
    "stic component of brain\",\"4\":\"peritumoral edema of brain\"}},{\"imag"
    "e_modality\":\"MRI\",\"image_description\":\"T2-weighted brain magnetic ",
    "resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"enhancing brain t"
    "umor\",\"2\":\"non-enhancing brain tumor\",\"3\":\"cystic component of bra"
    "in\",\"4\":\"peritumoral edema of brain\"}}]},\"Ceph-Biometrics-400\":{\"b"
    "iometry\":[{\"image_modality\":\"X Ray\",\"image_description\":\"cephalogr"
    "am (head and neck X-ray)\",\"landmarks_map\":{\"P1\":\"sella\",\"P2\":\"nasi"
    "on\",\"P3\":\"orbitale\",\"P4\":\"porion\",\"P5\":\"subspinale\",\"P6\":\"supramen"
    "tale\",\"P7\":\"pogonion\",\"P8\":\"menton\",\"P9\":\"gnathion\",\"P10\":\"gonion\""
    ",\"P11\":\"incision inferius\",\"P12\":\"incision superius\",\"P13\":\"upper "
    "lip\",\"P14\":\"lower lip\",\"P15\":\"subnasale\",\"P16\":\"soft tissue pogoni"
    "on\",\"P17\":\"posterior nasal spine\",\"P18\":\"anterior nasal spine\",\"P1"
    "9\":\"articulare\"},\"lines_map\":{\"L-1-2\":{\"name\":\"\",\"element_keys\":[\""
    "P1\",\"P2\"],\"element_map_name\":\"landmarks_map\"},\"L-1-10\":{\"name\":\"\","
    "\"element_keys\":[\"P1\",\"P10\"],\"element_map_name\":\"landmarks_map\"},\"L"
    "-2-5\":{\"name\":\"\",\"element_keys\":[\"P2\",\"P5\"],\"element_map_name\":\"la"
    "ndmarks_map\"},\"L-2-6\":{\"name\":\"\",\"element_keys\":[\"P2\",\"P6\"],\"eleme"
    "nt_map_name\":\"landmarks_map\"},\"L-2-7\":{\"name\":\"\",\"element_keys\":[\""
    "P2\",\"P7\"],\"element_map_name\":\"landmarks_map\"},\"L-2-8\":{\"name\":\"\",\""
    "element_keys\":[\"P2\",\"P8\"],\"element_map_name\":\"landmarks_map\"},\"L-3"
    "-4\":{\"name\":\"\",\"element_keys\":[\"P3\",\"P4\"],\"element_map_name\":\"land"
    "marks_map\"},\"L-5-6\":{\"name\":\"\",\"element_keys\":[\"P5\",\"P6\"],\"element"
    "_map_name\":\"landmarks_map\"},\"L-8-10\":{\"name\":\"\",\"element_keys\":[\"P"
    "8\",\"P10\"],\"element_map_name\":\"landmarks_map\"},\"L-9-10\":{\"name\":\"\","
    "\"element_keys\":[\"P9\",\"P10\"],\"element_map_name\":\"landmarks_map\"},\"L"
    "-17-18\":{\"name\":\"\",\"element_keys\":[\"P17\",\"P18\"],\"element_map_name\""
    ":\"landmarks_map\"}},\"angles_map\":{\"A-L_2_5-L_2_6\":{\"name\":\"\",\"eleme"
    "nt_keys\":[\"L-2-5\",\"L-2-6\"],\"element_map_name\":\"lines_map\"},\"A-L_1_"
    "2-L_2_6\":{\"name\":\"\",\"element_keys\":[\"L-1-2\",\"L-2-6\"],\"element_map_"
    "name\":\"lines_map\"},\"A-L_1_2-L_2_5\":{\"name\":\"\",\"element_keys\":[\"L-1"
    "-2\",\"L-2-5\"],\"element_map_name\":\"lines_map\"},\"A-L_5_6-L_8_10\":{\"na"
    "me\":\"\",\"element_keys\":[\"L-5-6\",\"L-8-10\"],\"element_map_name\":\"lines",
    "_map\"},\"A-L_3_4-L_2_7\":{\"name\":\"\",\"element_keys\":[\"L-3-4\",\"L-2-7\"]"
    ",\"element_map_name\":\"lines_map\"},\"A-L_3_4-L_17_18\":{\"name\":\"\",\"ele"
    "ment_keys\":[\"L-3-4\",\"L-17-18\"],\"element_map_name\":\"lines_map\"},\"A-"
    "L_2_7-L_5_6\":{\"name\":\"\",\"element_keys\":[\"L-2-7\",\"L-5-6\"],\"element_"
    "map_name\":\"lines_map\"},\"A-L_1_2-L_9_10\":{\"name\":\"\",\"element_keys\":"
    "[\"L-1-2\",\"L-9-10\"],\"element_map_name\":\"lines_map\"}}}]},\"FeTA24\":{\""
    "biometry\":[{\"image_modality\":\"MRI\",\"image_description\":\"\",\"landmar"
    "ks_map\":{\"P1\":\"most anterior point of corpus callosum\",\"P2\":\"most "
    "posterior point of corpus callosum\",\"P3\":\"most superior point of v"
    "ermis\",\"P4\":\"most inferior point of vermis\",\"P5\":\"right parietal e"
    "minence \",\"P6\":\"left parietal eminence\",\"P7\":\"right skull parietal"
    " eminence\",\"P8\":\"left skull parietal eminence\",\"P9\":\"most right po"
    "int of cerebellar hemisphere\",\"P10\":\"most left point of cerebellar"
    " hemisphere\"},\"lines_map\":{\"L-1-2\":{\"name\":\"length of corpus callo"
    "sum\",\"element_keys\":[\"P1\",\"P2\"],\"element_map_name\":\"landmarks_map\""
    "},\"L-3-4\":{\"name\":\"height of vermis\",\"element_keys\":[\"P3\",\"P4\"],\"e"
    "lement_map_name\":\"landmarks_map\"},\"L-5-6\":{\"name\":\"brain biparieta"
    "l diameter\",\"element_keys\":[\"P5\",\"P6\"],\"element_map_name\":\"landmar"
    "ks_map\"},\"L-7-8\":{\"name\":\"skull biparietal diameter\",\"element_keys"
    "\":[\"P7\",\"P8\"],\"element_map_name\":\"landmarks_map\"},\"L-9-10\":{\"name\""
    ":\"transverse cerebellar diameter\",\"element_keys\":[\"P9\",\"P10\"],\"ele"
    "ment_map_name\":\"landmarks_map\"}},\"angles_map\":{\"A-x\":{\"name\":\"corp"
    "us callosum to vermis angle\",\"element_keys\":[\"L-1-2\",\"L-3-4\"],\"ele"
    "ment_map_name\":\"lines_map\"}}}]},\"HNTSMRG24\":{\"detection\":[{\"image_"
    "modality\":\"MRI\",\"image_description\":\"T2-weighted head and neck mag"
    "netic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"primary gro"
    "ss tumor volume (head & neck)\",\"2\":\"metastatic lymph node\"}}],\"seg"
    "mentation\":[{\"image_modality\":\"MRI\",\"image_description\":\"T2-weight"
    "ed head and neck magnetic resonance imaging (MRI) scan\",\"labels_ma"
    "p\":{\"1\":\"primary gross tumor volume (head & neck)\",\"2\":\"metastatic",
    " lymph node\"}}]},\"KiPA22\":{\"biometry\":[{\"image_modality\":\"CT\",\"ima"
    "ge_description\":\"kidney computed tomography (CT) scan\",\"labels_map"
    "\":{\"1\":\"renal vein\",\"2\":\"kidney\",\"3\":\"renal artery\",\"4\":\"tumor\"},\""
    "target_label\":4}],\"detection\":[{\"image_modality\":\"CT\",\"image_descr"
    "iption\":\"kidney computed tomography (CT) scan\",\"labels_map\":{\"1\":\""
    "renal vein\",\"2\":\"kidney\",\"3\":\"renal artery\",\"4\":\"tumor\"},\"target_l"
    "abel\":4}],\"segmentation\":[{\"image_modality\":\"CT\",\"image_descriptio"
    "n\":\"kidney computed tomography (CT) scan\",\"labels_map\":{\"1\":\"renal"
    " vein\",\"2\":\"kidney\",\"3\":\"renal artery\",\"4\":\"tumor\"},\"target_label\""
    ":4}]},\"MSD\":{\"biometry\":[{\"image_modality\":\"MRI\",\"image_descriptio"
    "n\":\"gadolinium-enhanced T1-weighted brain magnetic resonance imagi"
    "ng (MRI) scan\",\"labels_map\":{\"1\":\"edema of brain\",\"2\":\"non-enhanci"
    "ng brain tumor\",\"3\":\"enhancing brain tumor\"},\"target_label\":1},{\"i"
    "mage_modality\":\"MRI\",\"image_description\":\"gadolinium-enhanced T1-w"
    "eighted brain magnetic resonance imaging (MRI) scan\",\"labels_map\":"
    "{\"1\":\"edema of brain\",\"2\":\"non-enhancing brain tumor\",\"3\":\"enhanci"
    "ng brain tumor\"},\"target_label\":2},{\"image_modality\":\"MRI\",\"image_"
    "description\":\"gadolinium-enhanced T1-weighted brain magnetic reson"
    "ance imaging (MRI) scan\",\"labels_map\":{\"1\":\"edema of brain\",\"2\":\"n"
    "on-enhancing brain tumor\",\"3\":\"enhancing brain tumor\"},\"target_lab"
    "el\":3},{\"image_modality\":\"CT\",\"image_description\":\"abdominal compu"
    "ted tomography (CT) scan\",\"labels_map\":{\"1\":\"colon cancer primarie"
    "s\"},\"target_label\":1},{\"image_modality\":\"CT\",\"image_description\":\""
    "abdominal computed tomography (CT) scan\",\"labels_map\":{\"1\":\"liver "
    "vessel\",\"2\":\"liver tumor\"},\"target_label\":2},{\"image_modality\":\"CT"
    "\",\"image_description\":\"abdominal computed tomography (CT) scan\",\"l"
    "abels_map\":{\"1\":\"liver\",\"2\":\"liver cancer\"},\"target_label\":2},{\"im"
    "age_modality\":\"CT\",\"image_description\":\"chest computed tomography "
    "(CT) scan\",\"labels_map\":{\"1\":\"lung cancer\"},\"target_label\":1},{\"im"
    "age_modality\":\"CT\",\"image_description\":\"abdominal computed tomogra",
    "phy (CT) scan\",\"labels_map\":{\"1\":\"pancreas\",\"2\":\"pancreas cancer\"}"
    ",\"target_label\":2}],\"detection\":[{\"image_modality\":\"MRI\",\"image_de"
    "scription\":\"gadolinium-enhanced T1-weighted brain magnetic resonan"
    "ce imaging (MRI) scan\",\"labels_map\":{\"1\":\"edema of brain\",\"2\":\"non"
    "-enhancing brain tumor\",\"3\":\"enhancing brain tumor\"},\"target_label"
    "\":1},{\"image_modality\":\"MRI\",\"image_description\":\"gadolinium-enhan"
    "ced T1-weighted brain magnetic resonance imaging (MRI) scan\",\"labe"
    "ls_map\":{\"1\":\"edema of brain\",\"2\":\"non-enhancing brain tumor\",\"3\":"
    "\"enhancing brain tumor\"},\"target_label\":2},{\"image_modality\":\"MRI\""
    ",\"image_description\":\"gadolinium-enhanced T1-weighted brain magnet"
    "ic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"edema of brain"
    "\",\"2\":\"non-enhancing brain tumor\",\"3\":\"enhancing brain tumor\"},\"ta"
    "rget_label\":3},{\"image_modality\":\"CT\",\"image_description\":\"abdomin"
    "al computed tomography (CT) scan\",\"labels_map\":{\"1\":\"colon cancer "
    "primaries\"},\"target_label\":1},{\"image_modality\":\"CT\",\"image_descri"
    "ption\":\"abdominal computed tomography (CT) scan\",\"labels_map\":{\"1\""
    ":\"liver vessel\",\"2\":\"liver tumor\"},\"target_label\":2},{\"image_modal"
    "ity\":\"CT\",\"image_description\":\"abdominal computed tomography (CT) "
    "scan\",\"labels_map\":{\"1\":\"liver\",\"2\":\"liver cancer\"},\"target_label\""
    ":2},{\"image_modality\":\"CT\",\"image_description\":\"chest computed tom"
    "ography (CT) scan\",\"labels_map\":{\"1\":\"lung cancer\"},\"target_label\""
    ":1},{\"image_modality\":\"CT\",\"image_description\":\"abdominal computed"
    " tomography (CT) scan\",\"labels_map\":{\"1\":\"pancreas\",\"2\":\"pancreas "
    "cancer\"},\"target_label\":2}],\"segmentation\":[{\"image_modality\":\"MRI"
    "\",\"image_description\":\"gadolinium-enhanced T1-weighted brain magne"
    "tic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"edema of brai"
    "n\",\"2\":\"non-enhancing brain tumor\",\"3\":\"enhancing brain tumor\"},\"t"
    "arget_label\":1},{\"image_modality\":\"MRI\",\"image_description\":\"gadol"
    "inium-enhanced T1-weighted brain magnetic resonance imaging (MRI) "
    "scan\",\"labels_map\":{\"1\":\"edema of brain\",\"2\":\"non-enhancing brain ",
    "tumor\",\"3\":\"enhancing brain tumor\"},\"target_label\":2},{\"image_moda"
    "lity\":\"MRI\",\"image_description\":\"gadolinium-enhanced T1-weighted b"
    "rain magnetic resonance imaging (MRI) scan\",\"labels_map\":{\"1\":\"ede"
    "ma of brain\",\"2\":\"non-enhancing brain tumor\",\"3\":\"enhancing brain "
    "tumor\"},\"target_label\":3},{\"image_modality\":\"CT\",\"image_descriptio"
    "n\":\"abdominal computed tomography (CT) scan\",\"labels_map\":{\"1\":\"co"
    "lon cancer primaries\"},\"target_label\":1},{\"image_modality\":\"CT\",\"i"
    "mage_description\":\"abdominal computed tomography (CT) scan\",\"label"
    "s_map\":{\"1\":\"liver vessel\",\"2\":\"liver tumor\"},\"target_label\":2},{\""
    "image_modality\":\"CT\",\"image_description\":\"abdominal computed tomog"
    "raphy (CT) scan\",\"labels_map\":{\"1\":\"liver\",\"2\":\"liver cancer\"},\"ta"
    "rget_label\":2},{\"image_modality\":\"CT\",\"image_description\":\"chest c"
    "omputed tomography (CT) scan\",\"labels_map\":{\"1\":\"lung cancer\"},\"ta"
    "rget_label\":1},{\"image_modality\":\"CT\",\"image_description\":\"abdomin"
    "al computed tomography (CT) scan\",\"labels_map\":{\"1\":\"pancreas\",\"2\""
    ":\"pancreas cancer\"},\"target_label\":2}]},\"OAIZIB-CM\":{\"detection\":["
    "{\"image_modality\":\"MRI\",\"image_description\":\"knee magnetic resonan"
    "ce imaging (MRI) scan\",\"labels_map\":{\"1\":\"femur\",\"2\":\"femoral cart"
    "ilage\",\"3\":\"tibia\",\"4\":\"medial tibial cartilage\",\"5\":\"lateral tibi"
    "al cartilage\"}}],\"segmentation\":[{\"image_modality\":\"MRI\",\"image_de"
    "scription\":\"knee magnetic resonance imaging (MRI) scan\",\"labels_ma"
    "p\":{\"1\":\"femur\",\"2\":\"femoral cartilage\",\"3\":\"tibia\",\"4\":\"medial ti"
    "bial cartilage\",\"5\":\"lateral tibial cartilage\"}}]},\"ToothFairy2\":{"
    "\"detection\":[{\"image_modality\":\"CT\",\"image_description\":\"dental co"
    "ne-beam computed tomography (CBCT) scan\",\"labels_map\":{\"1\":\"lower "
    "jawbone\",\"2\":\"upper jawbone\",\"3\":\"left inferior alveolar canal\",\"4"
    "\":\"left maxillary sinus\",\"5\":\"bridge\",\"6\":\"upper right central inc"
    "isor\"}}],\"segmentation\":[{\"image_modality\":\"CT\",\"image_description"
    "\":\"dental cone-beam computed tomography (CBCT) scan\",\"labels_map\":"
    "{\"1\":\"lower jawbone\",\"2\":\"upper jawbone\",\"3\":\"left inferior alveol",
    "ar canal\",\"4\":\"left maxillary sinus\",\"5\":\"bridge\",\"6\":\"upper right"
    " central incisor\"}}]}}",
};
const int mv_n_plan_builtin = (int)(sizeof mv_plan_builtin / sizeof *mv_plan_builtin);
/* clang-format on */
