//! Swahili.

use super::{Item, Texts};

const CHOOSE: &str = "Jibu kwa namba ya chaguo lako.";
const FALLBACK: &str = "Samahani, hatukuelewa ujumbe wako. Andika \"menyu\" ili uone jinsi {business} inavyoweza \
     kukusaidia.";
const LIMIT_WARNING: &str = "{business} inapokea ujumbe mwingi kwa sasa. Tumeupata ujumbe wako na tutakujibu mapema \
     iwezekanavyo.";

pub static BOOKING: Texts = Texts {
    greeting: "Habari, na karibu {business}! Tukusaidie nini leo?",
    menu: &[
        Item {
            title: "Kuweka miadi",
            reply: "Kwa furaha. Tafadhali tutumie huduma unayohitaji, siku na saa unayopendelea, pamoja na jina lako. \
                    Tutathibitisha miadi yako hapa.",
            keywords: &["miadi", "weka", "kuweka", "nafasi", "book", "booking"],
        },
        Item {
            title: "Kubadilisha au kughairi",
            reply: "Hakuna shida. Tafadhali tutumie jina lako pamoja na siku na saa uliyopangiwa, kisha utuambie kama \
                    ungependa kubadilisha au kughairi.",
            keywords: &["badilisha", "kubadilisha", "badili", "ghairi", "kughairi", "ahirisha", "kuahirisha"],
        },
        Item {
            title: "Huduma na bei",
            reply: "Ungependa kujua kuhusu huduma gani? Tuambie, nasi tutakutumia bei yake na muda inaochukua.",
            keywords: &["huduma", "bei", "gharama", "kiasi gani"],
        },
        Item {
            title: "Saa za kazi na mahali tulipo",
            reply: "Ungependa kuja siku gani? Tuambie, nasi tutakutumia saa zetu za kazi na maelekezo ya kufika.",
            keywords: &["saa", "mahali", "wapi", "lini", "mnafungua", "mko wapi"],
        },
        Item {
            title: "Kuzungumza nasi",
            reply: "Asante. Mhudumu wa {business} atakuandikia hapa hivi punde.",
            keywords: &["zungumza", "kuzungumza", "ongea", "kuongea", "mhudumu", "piga simu"],
        },
    ],
    choose: CHOOSE,
    fallback: FALLBACK,
    limit_warning: LIMIT_WARNING,
};

pub static ECOMMERCE: Texts = Texts {
    greeting: "Habari, na karibu {business}! Unatafuta nini leo?",
    menu: &[
        Item {
            title: "Bidhaa na bei",
            reply: "Tafadhali tuambie unatafuta bidhaa gani, pamoja na saizi au rangi ikiwa ni muhimu. Tutakutumia \
                    tulizonazo na bei zake.",
            keywords: &["bidhaa", "bei", "gharama", "kiasi gani", "shilingi ngapi"],
        },
        Item {
            title: "Kuagiza",
            reply: "Vizuri sana! Tafadhali tutumie bidhaa unazotaka, idadi yake, jina lako na mahali pa kuzileta. \
                    Tutathibitisha oda yako na jumla ya malipo hapa.",
            keywords: &["agiza", "kuagiza", "oda", "nunua", "kununua"],
        },
        Item {
            title: "Kufuatilia mzigo",
            reply: "Tafadhali tutumie namba ya oda yako, au jina ulilotumia kuagiza, nasi tutakuambia mzigo wako \
                    ulipofika.",
            keywords: &["fuatilia", "kufuatilia", "mzigo", "umefika", "usafirishaji"],
        },
        Item {
            title: "Malipo",
            reply: "Unaweza kulipa baada ya oda yako kuthibitishwa; tutakutumia njia za malipo pamoja na jumla yake.",
            keywords: &["malipo", "lipa", "kulipa", "nimelipa", "mpesa", "m-pesa"],
        },
        Item {
            title: "Kurudisha bidhaa na kurudishiwa pesa",
            reply: "Pole kwa usumbufu. Tafadhali tutumie namba ya oda yako na utueleze tatizo lililotokea, pamoja na \
                    picha ikiwezekana.",
            keywords: &["rudisha", "kurudisha", "kurudishiwa", "imeharibika", "imevunjika"],
        },
        Item {
            title: "Kuzungumza nasi",
            reply: "Asante. Mhudumu wa {business} atakuandikia hapa hivi punde.",
            keywords: &["zungumza", "kuzungumza", "ongea", "kuongea", "mhudumu", "piga simu"],
        },
    ],
    choose: CHOOSE,
    fallback: FALLBACK,
    limit_warning: LIMIT_WARNING,
};

pub static SUPPORT: Texts = Texts {
    greeting: "Habari, hiki ni kitengo cha huduma kwa wateja cha {business}. Tukusaidie nini?",
    menu: &[
        Item {
            title: "Kuripoti tatizo",
            reply: "Pole kwa tatizo hilo. Tafadhali tueleze tatizo lenyewe na lilianza lini; picha itasaidia pia. \
                    Tutakujibu hapa.",
            keywords: &["tatizo", "shida", "hitilafu", "haifanyi kazi", "imeharibika"],
        },
        Item {
            title: "Kuulizia ombi la awali",
            reply: "Tafadhali tutumie namba ya ombi lako, au jina lako na siku uliyotuandikia, nasi tutakuambia \
                    limefikia wapi.",
            keywords: &["ombi", "awali", "limefikia wapi", "kuulizia"],
        },
        Item {
            title: "Akaunti na malipo",
            reply: "Tafadhali tuambie swali lako linahusu nini. Kwa usalama wako, usitutumie kamwe nenosiri wala PIN.",
            keywords: &["akaunti", "malipo", "ankara", "bili", "nenosiri"],
        },
        Item {
            title: "Kuzungumza nasi",
            reply: "Asante. Mhudumu wa {business} atakuandikia hapa hivi punde.",
            keywords: &["zungumza", "kuzungumza", "ongea", "kuongea", "mhudumu", "piga simu"],
        },
    ],
    choose: CHOOSE,
    fallback: FALLBACK,
    limit_warning: LIMIT_WARNING,
};
