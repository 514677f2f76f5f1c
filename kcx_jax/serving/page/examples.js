// Sentences to begin with, each with a schema in its own language.

const CLASSES = `class Person(Entity):
    """A human being, named."""
class Organization(Entity):
    """A company, a school, a public body."""
class City(Entity):
    """A city or a town."""
class BirthPlace(Relation):
    """Where a person was born."""
    head: Person
    tail: City
class Employment(Relation):
    """Who works for which organization."""
    head: Person
    tail: Organization
class Opening(Event):
    """A place opens its doors. Triggers: opened, inaugurated"""
    owner: Organization
    place: City
`;

/** {language, name, text} with `code` (Python classes) or `labels`. */
export const EXAMPLES = [
  {
    language: "en",
    name: "English",
    text: "Mira Okafor, who was born in Lagos, joined Northwind Robotics in March. 🎉 On Friday the company opened " +
      "a laboratory in Rotterdam.",
    code: CLASSES,
  },
  {
    language: "zh",
    name: "中文",
    text: "去年秋天，陈静离开成都，到杭州的远山出版社当编辑。她的第一本书写的是画家周伯年，由北京的清河书店发行。",
    labels: "人物、机构、城市",
  },
  {
    language: "ar",
    name: "العربية",
    text: "انتقلت ليلى حداد من دمشق إلى عمّان عام 2019، وهناك أسست مع سامي النجار دار النورس للنشر.",
    labels: "شخص، منظمة، مدينة",
  },
  {
    language: "th",
    name: "ไทย",
    text: "คุณสมชาย วงศ์ทอง ย้ายจากเชียงใหม่มาทำงานที่บริษัทสยามไลท์ในกรุงเทพมหานครเมื่อปีที่แล้ว",
    labels: "บุคคล, องค์กร, เมือง",
  },
  {
    language: "hi",
    name: "हिन्दी",
    text: "अनीता वर्मा ने जयपुर में नवरंग प्रकाशन शुरू किया, और दो साल बाद उनके भाई रवि वर्मा भी दिल्ली छोड़कर वहीं आ गए।",
    labels: "व्यक्ति, संगठन, शहर",
  },
];
