/* The commands and options of medvision: the one place where they are declared. */
#include "tasks/cli.h"

const mv_cli_command mv_cli_commands[] = {
    [MV_CLI_DETECT] =
        {"detect", "IMAGE...", 1, 65536, NULL, "bounding box of an organ or lesion",
         "Asks the model for the bounding box of NAME in each picture and prints its lower-left "
         "and upper-right corners, relative to the picture's size, origin at the lower-left "
         "corner. A picture is a PNG or JPEG file; - is standard input.",
         "medvision detect scan.png --label liver\n"
         "medvision detect *.png --label \"brain tumor\" --json\n"
         "medvision detect scan.png --label liver --overlay seen.png --model MedVision-V0-7B\n"
         "medvision detect --jsonl < manifest.jsonl > results.jsonl"},
    [MV_CLI_SIZE] =
        {"size", "IMAGE...", 1, 65536, NULL, "major and minor axis of a tumour or lesion",
         "Asks the model for the axes of the ellipse that encloses NAME and prints their lengths. "
         "Beside each length stands the one recomputed from the end points that the model gave "
         "while reasoning: where the two disagree, its arithmetic slipped.",
         "medvision size mri.png --label tumor --pixel-size 0.711\n"
         "medvision size ct.png --label \"kidney cyst\" --pixel-size 0.7x0.8 --overlay seen.png"},
    [MV_CLI_DISTANCE] =
        {"distance", "IMAGE...", 1, 65536, NULL, "distance between two landmarks",
         "Asks the model for two landmarks and their distance. The names go into the prompt as "
         "they are written, except for spaces after the semicolon.",
         "medvision distance us.png --points \"left eye;right eye\" --pixel-size 0.2\n"
         "medvision distance us.png --name \"head width\" --points \"P1;P2\" --pixel-size 0.2 "
         "--json"},
    [MV_CLI_ANGLE] =
        {"angle", "IMAGE...", 1, 65536, NULL, "angle between two lines through landmarks",
         "Asks the model for the angle between the line through A and B and the line through C "
         "and D, in degrees.",
         "medvision angle xray.png --line1 \"A;B\" --line2 \"C;D\" --pixel-size 0.1\n"
         "medvision angle xray.png --name \"jaw angle\" --line1 \"gonion;menton\" "
         "--line2 \"gonion;articulare\" --pixel-size 0.1x0.1"},
    [MV_CLI_GENERATE] =
        {"generate", "", 0, 0, NULL, "answer any prompt, with or without pictures",
         "Sends the prompt with its pictures (in the order given) through the chat template and "
         "prints the answer, token by token where standard output is a terminal. Pictures get "
         "the checkpoint's own resize and nothing else. Special tokens written in the text are "
         "ordinary characters.",
         "medvision generate --prompt \"Describe this image.\" --image scan.png\n"
         "medvision generate --prompt-file question.txt --json --logprobs 5\n"
         "medvision generate --jsonl < requests.jsonl > answers.jsonl"},
    [MV_CLI_PROMPT] =
        {"prompt", "TASK [IMAGE]", 0, 2, "detect|size|distance|angle",
         "the exact prompt of a task, without running a model",
         "Prints the user text that detect, size, distance or angle would send, followed by one "
         "newline (--json gives it exactly). Size, distance and angle state the picture's size "
         "and spacing as the model sees them, so they need the picture or --image-size. Without "
         "--model the real model's limits on sizes apply.",
         "medvision prompt detect --label liver\n"
         "medvision prompt size scan.png --label tumor --pixel-size 0.711\n"
         "medvision prompt size --image-size 182x218 --label tumor --pixel-size 1\n"
         "medvision prompt --jsonl < manifest.jsonl"},
    [MV_CLI_PARSE] =
        {"parse", "[FILE]", 0, 1, NULL, "an answer text to values, by the benchmark's rule",
         "Reads a model's whole answer from FILE or standard input and prints the last K numbers "
         "of the first <answer>...</answer>, one a line. Exit code 3 when they are not there.",
         "medvision parse --numbers 2 answer.txt\n"
         "medvision parse --jsonl < answers.jsonl"},
    [MV_CLI_INFO] =
        {"info", "[DIR]", 0, 1, NULL, "what a checkpoint holds",
         "Opens the checkpoint in DIR (default: that of --model), checks every file in it, and "
         "prints its architecture, its parameters and bytes by part, its tokenizer and the limits "
         "of its preprocessor. --plan adds the memory that answering needs.",
         "medvision info\n"
         "medvision info MedVision-V0-7B --plan --batch 8 --context 4096\n"
         "medvision info MedVision-V0-7B --json"},
    [MV_CLI_IMAGE] =
        {"image", "IMAGE", 0, 1, NULL, "what the model sees of a picture",
         "Takes a picture through every step before the vision tower and prints sizes, spacing, "
         "grid and SHA-256 sums of the 8-bit image before and after the processor's resize and of "
         "the float32 patches. --out writes the picture as the model sees it. Without --model the "
         "real model's preprocessor is used.",
         "medvision image scan.png\n"
         "medvision image scan.png --pixel-size 0.711 --out seen.png\n"
         "medvision image --jsonl < manifest.jsonl"},
    [MV_CLI_TOKENIZE] =
        {"tokenize", "[TEXT]", 0, 65536, NULL, "text to token ids, or back",
         "Takes TEXT, or standard input byte for byte, and prints one line a token: its id and its "
         "text. With --decode it takes ids separated by white space or commas and prints their "
         "text. All added tokens in the text are recognised here, special ones included.",
         "medvision tokenize \"The axis is 24.13 mm long.\"\n"
         "medvision tokenize < prompt.txt\n"
         "medvision tokenize --decode 9707 1879\n"
         "medvision tokenize --jsonl < texts.jsonl"},
    [MV_CLI_SERVE] =
        {"serve", "", 0, 0, NULL, "an OpenAI-compatible server with a page to measure on",
         "Answers OpenAI's chat and completions API, measurements (/v1/measure) and a page for "
         "browsers, and prints its address. It listens on this machine alone unless --host says "
         "otherwise, reads no files and fetches nothing unless --allow-files lets it, and answers "
         "429 when its queue is full. SIGTERM lets requests at work finish.",
         "medvision serve\n"
         "medvision serve --model MedVision-V0-7B --port 8000 --api-key-file key.txt\n"
         "medvision serve --host 0.0.0.0 --api-key-file key.txt --max-batch 64 --max-queue 1024"},
    [MV_CLI_BENCH] =
        {"bench", "kernels|latency|throughput|serve|startup|plot [...]", 1, 65536,
         "kernels|latency|throughput|serve|startup|plot", "measure this machine and build",
         "kernels: each operation's share of the machine's measured memory bandwidth or matrix "
         "multiplication rate. latency: one request at a time or a batch, time to first token and "
         "per token. throughput: many requests at once, requests and tokens a second. serve: "
         "requests at a rate to any server of OpenAI's API. startup: from the start of a process "
         "to its first token. plot: pictures of their results. All but plot hold results against "
         "earlier ones with --compare. "
         "The arguments after it are the benchmark's own ('medvision bench latency --help').",
         "medvision bench kernels --device cpu\n"
         "medvision bench latency --input-len 700 --output-len 21\n"
         "medvision bench throughput --workload bench/workloads/medvision.jsonl\n"
         "medvision bench serve --base-url http://127.0.0.1:8000 --request-rate 2\n"
         "medvision bench startup --page-cache cold\n"
         "medvision bench plot bench/results/*.json*"},
    [MV_CLI_EVAL] =
        {"eval", "COMMAND", 1, 1, "import|run|parse|summarize|boxsize|report|reward|batch",
         "the MedVision benchmark",
         "The published benchmark from volumes to tables: 'import' makes manifests of a data set, "
         "'run' answers them, 'parse' reads the answers, 'summarize' and 'boxsize' make the "
         "original's tables, 'report' a leaderboard and a page to look at, 'reward' scores "
         "rollouts as the training did, 'batch' reads and writes OpenAI batch files.",
         "medvision eval --help"},
    [MV_CLI_EVAL_IMPORT] =
        {"eval import", "FOLDER", 1, 1, NULL, "volumes and their annotations to manifests",
         "Reads the volumes of FOLDER with the landmark files, box files and plan of the "
         "benchmark's data sets and writes one manifest a benchmark task into --data-dir.",
         "medvision eval import MSD --dataset MSD --plan plan.json --landmarks landmarks "
         "--data-dir manifests"},
    [MV_CLI_EVAL_RUN] =
        {"eval run", "[MANIFEST.jsonl...]", 0, 65536, NULL, "answer the benchmark's questions",
         "Answers every line of the manifests, or of the tasks of --tasks-list-json-path (looked "
         "up as TASK.jsonl in --data-dir), and writes the benchmark's sample logs to "
         "RESULTS_DIR/MODEL_NAME. Each answer is on disk before the next is asked for: after a "
         "kill the same command goes on where it was. Under mpirun the ranks share the work, and "
         "--shard does so without it.",
         "medvision eval run liver.jsonl --results-dir results --model MedVision-V0-7B\n"
         "medvision eval run --tasks-list-json-path tasks.json --data-dir manifests "
         "--task-status-json-path status.json --results-dir results --reshape-image-hw 512x512 "
         "--use-system-prompt\n"
         "medvision eval run --shard 0/4 --tasks-list-json-path tasks.json --data-dir manifests "
         "--results-dir results"},
    [MV_CLI_EVAL_PARSE] =
        {"eval parse", "", 0, 0, NULL, "answers to values and errors",
         "Reads the sample logs of every model in --task-dir (or of --model-dir) and writes parsed "
         "logs and results to MODEL/parsed, as the original does.",
         "medvision eval parse --task size --task-dir results-TL\n"
         "medvision eval parse --task detect --model-dir results/MedVision-V0-7B --limit 1000"},
    [MV_CLI_EVAL_SUMMARIZE] =
        {"eval summarize", "[MODEL...]", 0, 65536, NULL, "parsed answers to the original's tables",
         "Reads what 'eval parse' wrote and writes the original's summary files: metrics for each "
         "group of labels, and a text table over all models of --task-dir.",
         "medvision eval summarize --task ad --task-dir results-AD\n"
         "medvision eval summarize --task size --task-dir results-TL --removed-samples-dir "
         "removed"},
    [MV_CLI_EVAL_BOXSIZE] =
        {"eval boxsize", "", 0, 0, NULL, "detection by the size of the box",
         "Reads what 'eval parse' wrote and tells detection apart by the share of the image that "
         "the true box takes.",
         "medvision eval boxsize --task-dir results-detection"},
    [MV_CLI_EVAL_REPORT] =
        {"eval report", "FOLDER...", 1, 64, NULL, "leaderboard and a page to look at",
         "Reads the parsed logs of every model below the folders and writes the leaderboard beside "
         "the published rows, with confidence intervals by bootstrap, breakdowns by label, "
         "anatomy, plane and box size (--table), and one self-contained HTML page with every case "
         "(--out).",
         "medvision eval report results --out report.html\n"
         "medvision eval report results-det results-TL results-AD --table board.md --table "
         "board.csv --table board.json"},
    [MV_CLI_EVAL_REWARD] =
        {"eval reward", "[FILE]", 0, 1, NULL, "the training recipe's rewards of rollouts",
         "Reads rollouts as JSON lines (task, response, truth, landmarks) from FILE or standard "
         "input and prints each with its rewards: format, process, answer, and their sum.",
         "medvision eval reward rollouts.jsonl > rewards.jsonl"},
    [MV_CLI_EVAL_BATCH] =
        {"eval batch", "[REQUESTS.jsonl]", 0, 1, NULL, "OpenAI batch files, in and out",
         "Answers a file of chat requests in OpenAI's batch form. With --manifest it writes the "
         "requests of a manifest instead; with --manifest and --answers it makes sample logs of "
         "another model's answers, for 'eval parse'.",
         "medvision eval batch requests.jsonl --out answers.jsonl\n"
         "medvision eval batch --manifest liver.jsonl --out requests.jsonl\n"
         "medvision eval batch --manifest liver.jsonl --answers answers.jsonl --results-dir "
         "results "
         "--model-name other"},
    [MV_CLI_COMPLETION] =
        {"completion", "SHELL", 1, 1, "bash|zsh|fish", "a completion script for your shell",
         "Prints a script that completes commands, options, their values and file names.",
         "medvision completion bash > ~/.local/share/bash-completion/completions/medvision\n"
         "medvision completion zsh > ~/.zfunc/_medvision\n"
         "medvision completion fish > ~/.config/fish/completions/medvision.fish"},
    [MV_CLI_HELP] = {"help", "[COMMAND]", 0, 2,
                     "detect|size|distance|angle|generate|prompt|parse|info|image|tokenize|serve|"
                     "bench|eval|completion|help",
                     "help on a command",
                     "Prints an overview, or the help of one command; --man prints the man page.",
                     "medvision help\n"
                     "medvision help size\n"
                     "medvision help --man > medvision.1"},
};

const char *const mv_cli_group_names[MV_CLI_GROUP_COUNT] = {
    "Question", "Benchmark", "Server", "Picture", "Output", "Model", "Decoding", "General",
};

#define DETECT (1u << MV_CLI_DETECT)
#define SIZE (1u << MV_CLI_SIZE)
#define DISTANCE (1u << MV_CLI_DISTANCE)
#define ANGLE (1u << MV_CLI_ANGLE)
#define GENERATE (1u << MV_CLI_GENERATE)
#define PROMPT (1u << MV_CLI_PROMPT)
#define PARSE (1u << MV_CLI_PARSE)
#define INFO (1u << MV_CLI_INFO)
#define IMAGE (1u << MV_CLI_IMAGE)
#define TOKENIZE (1u << MV_CLI_TOKENIZE)
#define SERVE (1u << MV_CLI_SERVE)
#define E_IMPORT (1u << MV_CLI_EVAL_IMPORT)
#define E_RUN (1u << MV_CLI_EVAL_RUN)
#define E_PARSE (1u << MV_CLI_EVAL_PARSE)
#define E_SUMMARIZE (1u << MV_CLI_EVAL_SUMMARIZE)
#define E_BOXSIZE (1u << MV_CLI_EVAL_BOXSIZE)
#define E_REPORT (1u << MV_CLI_EVAL_REPORT)
#define E_REWARD (1u << MV_CLI_EVAL_REWARD)
#define E_BATCH (1u << MV_CLI_EVAL_BATCH)
#define E_TABLES (E_PARSE | E_SUMMARIZE | E_BOXSIZE)
#define E_ASK (E_RUN | E_BATCH)
#define E_ALL (E_IMPORT | E_ASK | E_TABLES | E_REPORT | E_REWARD)
#define COMPLETION (1u << MV_CLI_COMPLETION)
#define HELP (1u << MV_CLI_HELP)
#define MEASURE (DETECT | SIZE | DISTANCE | ANGLE)
#define RUN (MEASURE | GENERATE)
#define ALL                                                                               \
  ((1u << MV_CLI_EVAL) | E_ALL | RUN | SERVE | PROMPT | PARSE | INFO | IMAGE | TOKENIZE | \
   COMPLETION | HELP)

#define AT(field) offsetof(mv_cli_args, field)
#define MAX_COUNT 16777216.0 /* tokens, sequences: far beyond any use, far below overflow */
#define QUESTION MV_CLI_GROUP_QUESTION
#define PICTURE MV_CLI_GROUP_IMAGE
#define OUTPUT MV_CLI_GROUP_OUTPUT
#define MODEL MV_CLI_GROUP_MODEL
#define DECODING MV_CLI_GROUP_DECODING
#define GENERAL MV_CLI_GROUP_GENERAL
#define BENCHMARK MV_CLI_GROUP_BENCHMARK
#define SERVER MV_CLI_GROUP_SERVER

/* name, metavar, type, field, commands, required by, group, default, min, max, choices, help */
const mv_cli_option mv_cli_options[] = {
    {"label", "NAME", MV_CLI_TEXT, AT(label), DETECT | SIZE | PROMPT, DETECT | SIZE, QUESTION, NULL,
     0, 0, NULL, "What to find, in words: liver, \"brain tumor\""},
    {"pixel-size", "W[xH]", MV_CLI_SPACING, AT(pixel_size),
     SIZE | DISTANCE | ANGLE | PROMPT | IMAGE, SIZE | DISTANCE | ANGLE, QUESTION, NULL, 0, 0, NULL,
     "Width and height of one pixel of the picture file, in millimetres (in the unit of --unit); "
     "one number for square pixels"},
    {"points", "\"P1;P2\"", MV_CLI_PAIR, AT(points), DISTANCE | PROMPT, DISTANCE, QUESTION, NULL, 0,
     0, NULL, "The two landmarks, as the model should know them"},
    {"line1", "\"A;B\"", MV_CLI_PAIR, AT(line1), ANGLE | PROMPT, ANGLE, QUESTION, NULL, 0, 0, NULL,
     "The two landmarks of the first line"},
    {"line2", "\"C;D\"", MV_CLI_PAIR, AT(line2), ANGLE | PROMPT, ANGLE, QUESTION, NULL, 0, 0, NULL,
     "The two landmarks of the second line"},
    {"name", "NAME", MV_CLI_TEXT, AT(name), DISTANCE | ANGLE | PROMPT, 0, QUESTION, NULL, 0, 0,
     NULL, "What the measurement is called, if it has a name"},
    {"description", "TEXT", MV_CLI_TEXT, AT(description), MEASURE | PROMPT, 0, QUESTION, NULL, 0, 0,
     NULL, "What the picture is: \"abdominal computed tomography (CT) scan\""},
    {"unit", "UNIT", MV_CLI_TEXT, AT(unit), SIZE | DISTANCE | ANGLE | PROMPT, 0, QUESTION, NULL, 0,
     0, "mm|cm|degree",
     "Unit of the answer: mm (the default of size and distance) or cm; degree "
     "for angle"},
    {"no-cot", NULL, MV_CLI_SWITCH, AT(no_cot), MEASURE | PROMPT | E_RUN, 0, QUESTION, NULL, 0, 0,
     NULL, "Ask for the answer alone, without reasoning steps"},
    {"prompt", "TEXT", MV_CLI_TEXT, AT(prompt), GENERATE, 0, QUESTION, NULL, 0, 0, NULL,
     "The question"},
    {"prompt-file", "FILE", MV_CLI_FILE, AT(prompt_file), GENERATE, 0, QUESTION, NULL, 0, 0, NULL,
     "Read the question from FILE (- is standard input), byte for byte"},
    {"system", "TEXT", MV_CLI_TEXT, AT(system), GENERATE, 0, QUESTION, NULL, 0, 0, NULL,
     "System prompt (default: the chat template's own)"},
    {"image", "FILE", MV_CLI_FILES, AT(images), GENERATE, 0, QUESTION, NULL, 0, 0, NULL,
     "A picture, PNG or JPEG; may be repeated"},

    {"task", "WHICH", MV_CLI_CHOICE, AT(eval.family), E_TABLES, E_PARSE | E_SUMMARIZE, BENCHMARK,
     NULL, 0, 0, "detect|size|ad", "Boxes, tumour and lesion sizes, or angles and distances"},
    {"task-dir", "DIR", MV_CLI_DIR, AT(eval.task_dir), E_TABLES, 0, BENCHMARK, NULL, 0, 0, NULL,
     "Folder with one folder a model"},
    {"model-dir", "DIR", MV_CLI_DIR, AT(eval.model_dir), E_TABLES, 0, BENCHMARK, NULL, 0, 0, NULL,
     "One model's folder, in place of --task-dir"},
    {"limit", "N", MV_CLI_INT, AT(eval.limit), E_TABLES, 0, BENCHMARK, NULL, 1, MAX_COUNT, NULL,
     "Only the first N records of each file"},
    {"models", "NAME", MV_CLI_TEXTS, AT(eval.models), E_SUMMARIZE, 0, BENCHMARK, NULL, 0, 0, NULL,
     "Only these models; more names may follow"},
    {"removed-samples-dir", "DIR", MV_CLI_DIR, AT(eval.removed_dir), E_SUMMARIZE, 0, BENCHMARK,
     NULL, 0, 0, NULL, "Leave out the samples listed in DIR/DATASET/FILE (size only)"},
    {"removed-samples-filename", "FILE", MV_CLI_FILE, AT(eval.removed_name), E_SUMMARIZE, 0,
     BENCHMARK, "multi_cluster_samples_v1.0.0_to_v1.1.0.json", 0, 0, NULL,
     "The name of those lists"},
    {"parsed-dirname", "NAME", MV_CLI_TEXT, AT(eval.parsed_name), E_SUMMARIZE | E_BOXSIZE, 0,
     BENCHMARK, "parsed", 0, 0, NULL, "The folder with the parsed logs, in each model's"},
    {"resps-key", "KEY", MV_CLI_TEXT, AT(eval.resps_key), E_SUMMARIZE | E_BOXSIZE, 0, BENCHMARK,
     "filtered_resps", 0, 0, NULL, "The member of a record that holds the answer"},
    {"skip-existing", NULL, MV_CLI_SWITCH, AT(eval.skip_existing), E_PARSE, 0, BENCHMARK, NULL, 0,
     0, NULL, "Leave parsed logs that are there as they are"},
    {"skip-model-wo-parsed-files", NULL, MV_CLI_SWITCH, AT(eval.skip_missing),
     E_SUMMARIZE | E_BOXSIZE, 0, BENCHMARK, NULL, 0, 0, NULL,
     "Leave out models without parsed logs"},
    {"rm-old", NULL, MV_CLI_SWITCH, AT(eval.rm_old), E_PARSE, 0, BENCHMARK, NULL, 0, 0, NULL,
     "Delete the folder of parsed logs first"},
    {"processes", "N", MV_CLI_INT, AT(eval.processes), E_TABLES, 0, BENCHMARK, "1", 1, 4096, NULL,
     "Taken for the original's sake; one is fast enough"},
    {"plan", "FILE", MV_CLI_FILE, AT(eval.plan), E_TABLES | E_IMPORT | E_REPORT | E_ASK, 0,
     BENCHMARK, NULL, 0, 0, NULL, "Tables of the data sets, in place of the built-in ones"},
    {"tasks-list-json-path", "FILE", MV_CLI_FILE, AT(eval.tasks_list), E_RUN, 0, BENCHMARK, NULL, 0,
     0, NULL, "An object whose keys are the tasks, in order"},
    {"task-status-json-path", "FILE", MV_CLI_FILE, AT(eval.status), E_RUN, 0, BENCHMARK, NULL, 0, 0,
     NULL, "Tasks that are done; those listed are skipped, those finished are added"},
    {"skip-update-status", NULL, MV_CLI_SWITCH, AT(eval.skip_status), E_RUN, 0, BENCHMARK, NULL, 0,
     0, NULL, "Do not add finished tasks to that file"},
    {"results-dir", "DIR", MV_CLI_DIR, AT(eval.results_dir), E_ASK, E_RUN, BENCHMARK, NULL, 0, 0,
     NULL, "Where the sample logs go, in a folder of the model's name"},
    {"data-dir", "DIR", MV_CLI_DIR, AT(eval.data_dir), E_RUN | E_IMPORT, E_IMPORT, BENCHMARK, NULL,
     0, 0, NULL, "Folder of the tasks' manifests; their relative paths begin here"},
    {"model-name", "NAME", MV_CLI_TEXT, AT(eval.model_name), E_ASK, 0, BENCHMARK, NULL, 0, 0, NULL,
     "The model's name in files and tables (default: the checkpoint's folder)"},
    {"sample-limit", "N", MV_CLI_REAL, AT(eval.sample_limit), E_RUN, 0, BENCHMARK, "1000", 0, 1e9,
     NULL, "The first N lines of each task; below 1 that share of them; 0 is all"},
    {"sample-indices", "RANGE", MV_CLI_TEXT, AT(eval.sample_indices), E_RUN, 0, BENCHMARK, NULL, 0,
     0, NULL, "[A:B], [A,B] or [A,B,STEP]: these lines, in place of the limit"},
    {"reshape-image-hw", "HxW", MV_CLI_TEXT, AT(eval.reshape), E_RUN, 0, BENCHMARK, NULL, 0, 0,
     "512x512|none",
     "Interpolate each slice to this height and width first (default: what the "
     "manifest says, or else 512x512)"},
    {"use-system-prompt", NULL, MV_CLI_SWITCH, AT(eval.system_prompt), E_ASK, 0, BENCHMARK, NULL, 0,
     0, NULL, "Send the benchmark's system prompt in place of the template's own"},
    {"log-sys-prompt", NULL, MV_CLI_SWITCH, AT(eval.log_system), E_RUN, 0, BENCHMARK, NULL, 0, 0,
     NULL, "Add the system prompt to each record"},
    {"shard", "I/N", MV_CLI_TEXT, AT(eval.shard), E_RUN, 0, BENCHMARK, NULL, 0, 0, NULL,
     "Answer only part I of N (0/4 to 3/4); the part that finishes last writes the logs"},
    {"concurrency", "N", MV_CLI_INT, AT(eval.concurrency), E_RUN, 0, BENCHMARK, "32", 1, 4096, NULL,
     "Questions on their way at once: pictures made ready, and answers being made"},
    {"bootstrap", "N", MV_CLI_INT, AT(eval.bootstrap), E_REPORT, 0, BENCHMARK, "1000", 0, 100000,
     NULL, "Resamplings for the 95 % confidence intervals; 0 leaves them out"},
    {"table", "FILE", MV_CLI_FILES, AT(eval.tables), E_REPORT, 0, BENCHMARK, NULL, 0, 0, NULL,
     "Write the leaderboard as .md, .csv or .json; may be repeated"},
    {"dataset", "NAME", MV_CLI_TEXT, AT(eval.dataset), E_IMPORT, E_IMPORT, BENCHMARK, NULL, 0, 0,
     NULL, "The data set's name in the plan"},
    {"task-id", "ID", MV_CLI_TEXT, AT(eval.task_id), E_IMPORT, 0, BENCHMARK, "01", 0, 0, NULL,
     "The task's number in the plan"},
    {"landmarks", "DIR", MV_CLI_DIR, AT(eval.landmarks), E_IMPORT, 0, BENCHMARK, NULL, 0, 0, NULL,
     "Landmark files (.json, .json.gz), each named for its volume"},
    {"boxes", "DIR", MV_CLI_DIR, AT(eval.boxes), E_IMPORT, 0, BENCHMARK, NULL, 0, 0, NULL,
     "Box files (.json, .json.gz), each named for its volume"},
    {"manifest", "FILE", MV_CLI_FILE, AT(eval.manifest), E_BATCH, 0, BENCHMARK, NULL, 0, 0, NULL,
     "The questions"},
    {"answers", "FILE", MV_CLI_FILE, AT(eval.answers), E_BATCH, 0, BENCHMARK, NULL, 0, 0, NULL,
     "Answers in OpenAI's batch form"},

    {"host", "ADDRESS", MV_CLI_TEXT, AT(serve.host), SERVE, 0, SERVER, "127.0.0.1", 0, 0, NULL,
     "Numeric address to listen on; 0.0.0.0 is every one of this machine"},
    {"port", "N", MV_CLI_INT, AT(serve.port), SERVE, 0, SERVER, "8000", 0, 65535, NULL,
     "Port to listen on; 0 is any that is free"},
    {"api-key", "KEY", MV_CLI_TEXT, AT(serve.api_key), SERVE, 0, SERVER, NULL, 0, 0, NULL,
     "Ask for this key (Authorization: Bearer KEY); other users of the machine can see it, so "
     "rather --api-key-file"},
    {"api-key-file", "FILE", MV_CLI_FILE, AT(serve.api_key_file), SERVE, 0, SERVER, NULL, 0, 0,
     NULL, "Ask for the key in this file's first line"},
    {"model-name", "NAME", MV_CLI_TEXT, AT(serve.model_name), SERVE, 0, SERVER, NULL, 0, 0, NULL,
     "Name in /v1/models; the checkpoint's folder's unless told"},
    {"allow-files", "DIR", MV_CLI_FILES, AT(serve.allow_files), SERVE, 0, SERVER, NULL, 0, 0, NULL,
     "Let requests name files below this folder; may be repeated"},
    {"max-batch", "N", MV_CLI_INT, AT(serve.max_batch), SERVE, 0, SERVER, "16", 1, 4096, NULL,
     "Requests at work at once; each has room for --max-context tokens"},
    {"max-queue", "N", MV_CLI_INT, AT(serve.max_queue), SERVE, 0, SERVER, "512", 0, 1000000, NULL,
     "Requests waiting, beyond which the answer is 429"},
    {"max-connections", "N", MV_CLI_INT, AT(serve.max_connections), SERVE, 0, SERVER, "1024", 1,
     100000, NULL, "Connections at once; more are closed"},
    {"max-context", "N", MV_CLI_INT, AT(serve.context), SERVE, 0, SERVER, "0", 0, MAX_COUNT, NULL,
     "Tokens of one request, prompt and answer; 0 is the model's, up to 8192"},
    {"max-body", "MB", MV_CLI_INT, AT(serve.max_body_mb), SERVE, 0, SERVER, "64", 1, 1024, NULL,
     "Longest body of a request"},
    {"max-megapixels", "N", MV_CLI_INT, AT(serve.max_megapixels), SERVE, 0, SERVER, "50", 1, 100,
     NULL, "Largest picture, in millions of pixels"},
    {"request-timeout", "S", MV_CLI_INT, AT(serve.request_s), SERVE, 0, SERVER, "600", 1, 86400,
     NULL, "Seconds a request may take; then it ends with what it has"},
    {"read-timeout", "S", MV_CLI_INT, AT(serve.read_s), SERVE, 0, SERVER, "60", 1, 86400, NULL,
     "Seconds a client has to send a request, or to take in a part of the reply"},
    {"grace", "S", MV_CLI_INT, AT(serve.grace_s), SERVE, 0, SERVER, "30", 0, 86400, NULL,
     "Seconds that requests at work have to finish after SIGTERM"},

    {"image-size", "WxH", MV_CLI_WH, AT(image_size), PROMPT, 0, PICTURE, NULL, 0, 0, NULL,
     "Size of the picture file in pixels, in place of IMAGE"},
    {"reshape", "HxW|none", MV_CLI_HW, AT(reshape), MEASURE | PROMPT | IMAGE, 0, PICTURE, "504x504",
     0, 0, "none|504x504|512x512", "Resize the picture to this height and width first"},
    {"slice", "PLANE:INDEX", MV_CLI_SLICE, AT(slice), MEASURE | PROMPT | IMAGE, 0, PICTURE, NULL, 0,
     0, NULL,
     "The file is a volume (NIfTI, or a folder with a DICOM series): take this slice, axial:57; "
     "its pixel size comes from the header. A third number is the frame of a 4-D volume"},
    {"orientation", "AXES", MV_CLI_CHOICE, AT(orientation), MEASURE | PROMPT | IMAGE | E_RUN, 0,
     PICTURE, "auto", 0, 0, "auto|stored|ras",
     "Which axes a volume's planes mean: as stored, or reoriented to RAS+; auto is ras with "
     "--slice and stored with --jsonl"},
    {"modality", "NAME", MV_CLI_TEXT, AT(modality), MEASURE | PROMPT | IMAGE, 0, PICTURE, NULL, 0,
     0, "CT|MRI|PET|ultrasound|X-ray",
     "What made the volume: CT maps a slice to grey by the benchmark's window for the label, "
     "anything else by its percentiles"},
    {"resampler", "WHICH", MV_CLI_CHOICE, AT(resampler), SERVE | RUN | PROMPT | IMAGE | E_ASK, 0,
     PICTURE, "torchvision", 0, 0, "torchvision|pillow",
     "Integers of the bicubic resize: torchvision's, as in the benchmark, or Pillow's"},
    {"image-order", "WHERE", MV_CLI_CHOICE, AT(image_order), RUN | E_ASK, 0, PICTURE, "first", 0, 0,
     "first|last", "Pictures before or after the text (eval run and eval batch: last unless told)"},

    {"json", NULL, MV_CLI_SWITCH, AT(json), RUN | PROMPT | PARSE | INFO | IMAGE | TOKENIZE, 0,
     OUTPUT, NULL, 0, 0, NULL, "One JSON object a line on standard output"},
    {"jsonl", NULL, MV_CLI_SWITCH, AT(jsonl), RUN | PROMPT | PARSE | IMAGE | TOKENIZE, 0, OUTPUT,
     NULL, 0, 0, NULL,
     "Read JSON lines from standard input and answer each with one line, in order; a bad line "
     "gets a line with \"error\""},
    {"overlay", "OUT.png", MV_CLI_FILE, AT(overlay), MEASURE, 0, OUTPUT, NULL, 0, 0, NULL,
     "Draw the result on the picture as the model saw it; with several pictures OUT-1.png, "
     "OUT-2.png and so on"},
    {"out", "FILE", MV_CLI_FILE, AT(out), E_REPORT | E_BATCH, 0, OUTPUT, NULL, 0, 0, NULL,
     "Write the page, or the requests or answers, to this file"},
    {"out", "SEEN.png", MV_CLI_FILE, AT(out), IMAGE, 0, OUTPUT, NULL, 0, 0, NULL,
     "Write the picture as the model sees it"},
    {"numbers", "K", MV_CLI_INT, AT(numbers), PARSE, 0, OUTPUT, "1", 1, 1024, NULL,
     "How many numbers the answer has: 4 detect, 2 size, 1 distance and angle"},
    {"decode", NULL, MV_CLI_SWITCH, AT(decode), TOKENIZE, 0, OUTPUT, NULL, 0, 0, NULL,
     "From ids to text"},
    {"plan", NULL, MV_CLI_SWITCH, AT(plan), INFO, 0, OUTPUT, NULL, 0, 0, NULL,
     "Add the bytes that answering takes, by part"},
    {"batch", "N", MV_CLI_INT, AT(batch), INFO, 0, OUTPUT, "1", 1, MAX_COUNT, NULL,
     "Sequences at once, for --plan"},
    {"context", "N", MV_CLI_INT, AT(context), INFO, 0, OUTPUT, "4096", 1, MAX_COUNT, NULL,
     "Tokens of each sequence, prompt and answer, for --plan"},
    {"man", NULL, MV_CLI_SWITCH, AT(man), HELP, 0, OUTPUT, NULL, 0, 0, NULL,
     "Print the man page, in troff"},
    {"dump", "DIR", MV_CLI_DIR, AT(dump), RUN, 0, OUTPUT, NULL, 0, 0, NULL,
     "Write the named tensors of every stage to DIR as safetensors"},

    {"model", "DIR", MV_CLI_DIR, AT(model), SERVE | RUN | E_ASK | PROMPT | INFO | IMAGE | TOKENIZE,
     0, MODEL, NULL, 0, 0, NULL,
     "Checkpoint directory (default: the small model that comes with the program)"},
    {"random-weights", "SHAPE", MV_CLI_TEXT, AT(random_weights), SERVE | RUN | E_ASK | INFO, 0,
     MODEL, NULL, 0, 0, "3b|7b|32b|config",
     "Made-up weights of this Qwen2.5-VL shape (config: of the checkpoint's own) with its "
     "tokenizer: "
     "for measuring, without files of that size"},
    {"device", "DEVICE", MV_CLI_DEVICE, AT(device), SERVE | RUN | E_ASK, 0, MODEL, "auto", 0, 0,
     "auto|cpu|cuda", "Where to compute: auto, cpu, cuda or cuda:N"},
    {"dtype", "TYPE", MV_CLI_CHOICE, AT(dtype), SERVE | RUN | E_ASK, 0, MODEL, "auto", 0, 0,
     "auto|bf16|fp32",
     "Arithmetic: fp32 is the definition of right; auto is bf16 where the processor has it"},
    {"threads", "N", MV_CLI_INT, AT(threads), SERVE | RUN | E_ASK, 0, MODEL, "0", 0, 4096, NULL,
     "Processor threads; 0 is all of them"},

    {"max-new-tokens", "N", MV_CLI_INT, AT(max_new_tokens), SERVE | RUN | E_ASK, 0, DECODING,
     "4096", 1, MAX_COUNT, NULL, "Longest answer, in tokens"},
    {"temperature", "T", MV_CLI_REAL, AT(temperature), SERVE | RUN | E_ASK, 0, DECODING, "0", 0,
     1e6, NULL, "0 is greedy: always the likeliest token"},
    {"top-p", "P", MV_CLI_REAL, AT(top_p), SERVE | RUN | E_ASK, 0, DECODING, "1", 1e-6, 1, NULL,
     "Sample from the likeliest tokens that reach this probability together; 1 is off"},
    {"top-k", "K", MV_CLI_INT, AT(top_k), SERVE | RUN | E_ASK, 0, DECODING, "0", 0, MAX_COUNT, NULL,
     "Sample from the K likeliest tokens; 0 is off"},
    {"repetition-penalty", "R", MV_CLI_REAL, AT(repetition_penalty), SERVE | RUN | E_ASK, 0,
     DECODING, "1", 1e-6, 1e6, NULL, "Above 1, tokens already seen become less likely"},
    {"seed", "N", MV_CLI_SEED, AT(seed), SERVE | RUN | E_ASK, 0, DECODING, "0", 0, 0, NULL,
     "Seed of the sampling"},
    {"generation-config", NULL, MV_CLI_SWITCH, AT(generation_config), SERVE | RUN | E_ASK, 0,
     DECODING, NULL, 0, 0, NULL,
     "Take the sampling values of the checkpoint's generation_config.json instead"},
    {"ignore-eos", NULL, MV_CLI_SWITCH, AT(ignore_eos), SERVE | RUN | E_ASK, 0, DECODING, NULL, 0,
     0, NULL, "Go on after the end token"},
    {"stop", "TEXT", MV_CLI_TEXTS, AT(stop), RUN | E_ASK, 0, DECODING, NULL, 0, 0, NULL,
     "End the answer before this text; may be repeated"},
    {"logprobs", "K", MV_CLI_INT, AT(logprobs), RUN, 0, DECODING, NULL, 0, MAX_COUNT, NULL,
     "With --json, the log-probability of each token and of the K likeliest in its place"},
    {"speculate", "MODE", MV_CLI_CHOICE, AT(speculate), SERVE | RUN | E_ASK, 0, DECODING, "auto", 0,
     0, "auto|off", "Draft tokens ahead and check them together; answers never depend on it"},
    {"prefix-cache", "MODE", MV_CLI_CHOICE, AT(prefix_cache), SERVE | RUN | E_ASK, 0, DECODING,
     "on", 0, 0, "on|off", "Reuse the common start of prompts; answers never depend on it"},
    {"any-order", NULL, MV_CLI_SWITCH, AT(any_order), SERVE | RUN | E_ASK, 0, DECODING, NULL, 0, 0,
     NULL,
     "Sums in the order that is fastest for all rows of a step: last bits, and answers where two "
     "tokens are all but equally likely, then depend on what is asked at the same time"},
    {"draft-bank", "FILE", MV_CLI_FILE, AT(draft_bank), SERVE | RUN | E_ASK, 0, DECODING, NULL, 0,
     0, NULL,
     "Start with what earlier runs learned for drafting, and keep it there at the end; the file "
     "holds "
     "token ids of recent prompts and answers"},

    {"quiet", NULL, MV_CLI_SWITCH, AT(quiet),
     SERVE | RUN | E_ALL | PROMPT | INFO | IMAGE | TOKENIZE, 0, GENERAL, NULL, 0, 0, NULL,
     "No progress and no notes on standard error"},
    {"verbose", NULL, MV_CLI_SWITCH, AT(verbose), SERVE | RUN | E_ASK, 0, GENERAL, NULL, 0, 0, NULL,
     "Say on standard error what runs where and how long it takes"},
    {"profile", NULL, MV_CLI_SWITCH, AT(profile), RUN | E_ASK, 0, GENERAL, NULL, 0, 0, NULL,
     "When all is done, print on standard error what each operation took, beside what this "
     "machine could do"},
    {"nvtx", NULL, MV_CLI_SWITCH, AT(nvtx), RUN | E_ASK, 0, GENERAL, NULL, 0, 0, NULL,
     "Name requests, steps and layers on the timeline of Nsight Systems"},
    {"help", NULL, MV_CLI_SWITCH, AT(help), ALL, 0, GENERAL, NULL, 0, 0, NULL,
     "Print this help (also -h)"},
    {"version", NULL, MV_CLI_SWITCH, AT(version), ALL, 0, GENERAL, NULL, 0, 0, NULL,
     "Print the version"},
};
const int mv_cli_n_option = (int)(sizeof mv_cli_options / sizeof *mv_cli_options);

_Static_assert(sizeof mv_cli_options / sizeof *mv_cli_options <= 128,
               "mv_cli_args.given is 128 bits");
_Static_assert(sizeof mv_cli_commands / sizeof *mv_cli_commands == MV_CLI_COUNT, "one per id");
